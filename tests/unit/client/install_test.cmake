# Installs the client library into a folder of its own, builds examples/ against
# it, and runs what was built. Called by ctest with BUILD, SOURCE and WORK.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed (${result}): ${ARGV}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --component kafed_client
  --prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} -S ${SOURCE}/examples -B ${WORK}/build
  -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/build)

# The installed files name nothing of the build tree.
file(GLOB_RECURSE files ${WORK}/prefix/*.cmake)
foreach(file ${files})
  file(READ ${file} text)
  string(FIND "${text}" "${SOURCE}/" at)
  if(NOT at EQUAL -1)
    message(FATAL_ERROR "${file} names ${SOURCE}")
  endif()
endforeach()

execute_process(COMMAND ${WORK}/build/send_one RESULT_VARIABLE result
  ERROR_VARIABLE text)
if(NOT result EQUAL 2 OR NOT text MATCHES "usage: send_one")
  message(FATAL_ERROR "send_one said ${result}: ${text}")
endif()
file(REMOVE_RECURSE ${WORK})
