// Apply: how facts change the image. The only mutator.
//
// Records of a committed entry always apply: they were planned against exactly
// the image before it. A status other than ok therefore is a fault (a broken
// invariant, a foreign or newer entry); whoever applies committed entries stops
// the process with it. Verifiers and fuzzers read the status instead.
//
// Pure: time and index come from the entry's header; no clock, no randomness,
// no I/O.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "federation/image/editor.h"
#include "federation/image/image.h"
#include "kafed/v1/records.pb.h"

namespace kafed::federation {

// Takes the head of a new entry: checks that it follows, advances position and
// time, and drops requests and former bindings whose time is over.
absl::Status BeginEntry(const v1::EntryHeader& header, uint64_t header_hash,
                        Editor* editor);

absl::Status ApplyRecord(const v1::Record& record, Editor* editor);

// BeginEntry and all records. On an error the image is unusable.
absl::Status ApplyEntry(const v1::Entry& entry, Image* image,
                        std::vector<ChangedRow>* changes);

// How long requests are remembered, in entry time, and how many at most.
inline constexpr uint64_t kRequestWindowMs = 10 * 60 * 1000;
inline constexpr uint64_t kMaxRequests = 100'000;
// How long a removed unicast key keeps its claim on its partition: as long as
// the longest lease.
inline constexpr uint64_t kFormerBindingMs = 15 * 60 * 1000;

// XXH3-64 of the serialized header: what the successor names.
uint64_t HashHeader(const v1::EntryHeader& header);

}  // namespace kafed::federation
