# What applications link: `cmake --install BUILD --component kafed_client`, then
# find_package(kafed) and the target kafed::kafed_client.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(KAFED_INCLUDE ${CMAKE_INSTALL_INCLUDEDIR}/kafed)
set(KAFED_CMAKE ${CMAKE_INSTALL_LIBDIR}/cmake/kafed)

# Paths and warnings of the build tree are nothing to applications.
set_property(TARGET kafed_proto PROPERTY INTERFACE_INCLUDE_DIRECTORIES
  $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/gen>)
set_property(TARGET kafed_proto PROPERTY INTERFACE_SYSTEM_INCLUDE_DIRECTORIES
  $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/gen>)
get_target_property(KAFED_WARNINGS kafed_options INTERFACE_COMPILE_OPTIONS)
set_property(TARGET kafed_options PROPERTY INTERFACE_COMPILE_OPTIONS
  "$<BUILD_INTERFACE:${KAFED_WARNINGS}>")
target_compile_features(kafed_client_core PUBLIC cxx_std_20)

install(TARGETS kafed_options kafed_common kafed_proto kafed_grpc kafed_view
    kafed_client_core kafed_client
  EXPORT kafedTargets COMPONENT kafed_client
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${KAFED_INCLUDE})
install(EXPORT kafedTargets NAMESPACE kafed:: DESTINATION ${KAFED_CMAKE}
  COMPONENT kafed_client)

foreach(header backoff lease message mirror monitor node_connection options
    producer subscriber view_state)
  install(FILES ${header}.h DESTINATION ${KAFED_INCLUDE}/client
    COMPONENT kafed_client)
endforeach()
install(FILES rpc/grpc_connection.h DESTINATION ${KAFED_INCLUDE}/client/rpc
  COMPONENT kafed_client)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/common/
  DESTINATION ${KAFED_INCLUDE}/common COMPONENT kafed_client
  FILES_MATCHING PATTERN "*.h")
foreach(header chain ids route_view)
  install(FILES ${CMAKE_SOURCE_DIR}/federation/view/${header}.h
    DESTINATION ${KAFED_INCLUDE}/federation/view COMPONENT kafed_client)
endforeach()
install(DIRECTORY ${CMAKE_BINARY_DIR}/gen/kafed
  DESTINATION ${KAFED_INCLUDE} COMPONENT kafed_client
  FILES_MATCHING PATTERN "*.pb.h")

configure_package_config_file(kafedConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/kafedConfig.cmake
  INSTALL_DESTINATION ${KAFED_CMAKE})
write_basic_package_version_file(
  ${CMAKE_CURRENT_BINARY_DIR}/kafedConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/kafedConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/kafedConfigVersion.cmake
  DESTINATION ${KAFED_CMAKE} COMPONENT kafed_client)
