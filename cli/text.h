// Small readers and writers of what people type: numbers, durations, pairs.
//
// Errors are InvalidArgument and say what would be right; the caller puts the
// name of the option before them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/uuid.h"
#include "kafed/v1/types.pb.h"

namespace kafed::cli {

// A decimal number from `min` to `max`.
absl::StatusOr<uint64_t> ParseNumber(std::string_view text, uint64_t max,
                                     uint64_t min = 0);
absl::StatusOr<double> ParseDecimal(std::string_view text);

// "500ms", "10s", "5m", "2h", "7d"; the unit must be there.
absl::StatusOr<milliseconds> ParseDuration(std::string_view text);
// The longest unit that divides it: "7d", "1500ms".
std::string FormatDuration(milliseconds duration);

// "name=value"; the name is not empty.
absl::StatusOr<std::pair<std::string, std::string>> ParsePair(
    std::string_view text);

// 32 hex digits, with or without the dashes of a UUID, of a UUIDv7.
absl::StatusOr<RequestId> ParseRequestIdText(std::string_view text);

// "HOST:PORT"; an IPv6 host stands in brackets.
absl::Status CheckAddress(std::string_view text);

// "service=NUMBER[:cost[:frequency]]".
absl::StatusOr<v1::Quota> ParseQuota(std::string_view text);

// "2026-01-31T12:00:00.000Z".
std::string FormatTime(uint64_t time_ms);

// "1:42"; "-" for no position.
std::string FormatPosition(const v1::Position& position);

std::vector<std::string> SplitList(std::string_view text, char delimiter);
std::string Join(const std::vector<std::string>& parts,
                 std::string_view delimiter);

// 'text' for a message: at most some 40 bytes, printable, UTF-8.
std::string Shortened(std::string_view text);

// A message for a terminal: '?' for each byte that could do something there,
// but for the ends of lines.
std::string ForTerminal(std::string_view text);

// Where a byte is not UTF-8; npos: it is.
size_t FindBadUtf8(std::string_view text);

}  // namespace kafed::cli
