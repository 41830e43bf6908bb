// Life cycle of a segment.
//
//              move                fence + mark            retention
//   [Open] ----------> [Closing] ----------> [Sealed] ----------> [Retired]
//      |                   |                    ^                     ^
//      |  sub-cluster lost |                    | returned, fenced    |
//      +-------------------+---> [Orphaned] ----+                     |
//      |                             |  never came back               |
//      |  seal of an empty segment   +--------------------------------+
//      +---> [Sealed]
//
// A chain has at most one segment that is Open or Closing.
#pragma once

#include "kafed/v1/types.pb.h"

namespace kafed::federation {

constexpr bool IsValidTransition(v1::SegmentState from, v1::SegmentState to) {
  switch (from) {
    case v1::SEGMENT_STATE_UNSPECIFIED:
      return to == v1::SEGMENT_STATE_OPEN;
    case v1::SEGMENT_STATE_OPEN:
      return to == v1::SEGMENT_STATE_CLOSING ||
             to == v1::SEGMENT_STATE_SEALED || to == v1::SEGMENT_STATE_ORPHANED;
    case v1::SEGMENT_STATE_CLOSING:
      return to == v1::SEGMENT_STATE_SEALED || to == v1::SEGMENT_STATE_ORPHANED;
    case v1::SEGMENT_STATE_ORPHANED:
      return to == v1::SEGMENT_STATE_SEALED || to == v1::SEGMENT_STATE_RETIRED;
    case v1::SEGMENT_STATE_SEALED:
      return to == v1::SEGMENT_STATE_RETIRED;
    case v1::SEGMENT_STATE_RETIRED:
    default:
      return false;
  }
}

}  // namespace kafed::federation
