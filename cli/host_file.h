// Reads the files that `host import` takes. Pure.
//
//   alcor   {"host_infos": [{"node_id", "node_name", "local_ip", ...}]}
//           {"Hosts": [{"id", "ip", "mac", ...}]}
//   csv     header "id,region,zone[,label...]", in any order, the first column
//           "id" or "host"; region and zone may be missing
//   jsonl   {"id", "region", "zone", "labels": {}} a line
//
// Region and zone of the options stand in where a host has none. What else a
// host carries becomes labels; nested values and empty ones do not.
//
// All or nothing: an error is InvalidArgument, one line for each of the first
// ten mistakes, "line L, column C: what is wrong and what was expected". It
// checks the shape, unique ids and UTF-8; the node checks the rest. With
// SkippedHosts, hosts with mistakes are left out instead; a file whose shape is
// wrong is an error all the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kafed/v1/types.pb.h"

namespace kafed::cli {

enum class HostFormat { kAuto, kAlcor, kCsv, kJsonLines };

struct HostFileOptions {
  HostFormat format = HostFormat::kAuto;
  std::string region;
  std::string zone;
};

// What was left out: how many hosts, and the mistakes of the first ten.
struct SkippedHosts {
  size_t count = 0;
  std::string mistakes;
};

absl::StatusOr<std::vector<v1::HostSpec>> ParseHostFile(
    std::string_view text, const HostFileOptions& options,
    SkippedHosts* skipped = nullptr);

// What the text looks like: never kAuto.
absl::StatusOr<HostFormat> DetectHostFormat(std::string_view text);

}  // namespace kafed::cli
