// Between absl::Status and grpc::Status: the codes are the same numbers.
//
// A message travels in a header, whose size clients limit (8 KiB, and a byte
// may take three there): a longer one would be lost with its code.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace kafed::controller {

inline constexpr size_t kMaxErrorBytes = 2'000;

inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string message(status.message());
  if (message.size() > kMaxErrorBytes) {
    size_t end = kMaxErrorBytes;
    while ((message[end] & 0xc0) == 0x80) --end;  // no half character
    message.replace(end, std::string::npos, "...");
  }
  return {static_cast<grpc::StatusCode>(status.code()), message};
}

}  // namespace kafed::controller
