// Slots of a Kafka topic, read and changed in the bytes of their row.
//
// A binding changes one number of a row that may hold thousands; decoding and
// encoding the whole row would be most of its cost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/row_codec.h"
#include "federation/image/rows.h"

namespace kafed::federation {

// Calls `visit(kafka_partition, slot)` for each slot, until it returns false.
template <typename Visit>
void ForEachSlot(std::string_view row, const Visit& visit) {
  ByteReader reader(row);
  const uint64_t count = reader.Varint();
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    Slots::Slot slot;
    slot.partition_plus_1 = static_cast<uint32_t>(reader.Varint());
    slot.charge = static_cast<uint32_t>(reader.Varint());
    if (!visit(static_cast<uint32_t>(i), slot)) return;
  }
}

// Adds `delta` to the charge of one slot. False, and nothing changed, if there
// is no such slot. `charge` becomes the new one.
bool AddCharge(uint32_t kafka_partition, int64_t delta, std::string* row,
               uint32_t* charge);

// Whether a slot takes another key under `keys_per_partition`.
bool HasRoom(std::string_view row, uint32_t keys_per_partition);

}  // namespace kafed::federation
