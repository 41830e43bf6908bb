#include "federation/image/slots.h"

namespace kafed::federation {

bool AddCharge(uint32_t kafka_partition, int64_t delta, std::string* row,
               uint32_t* charge) {
  ByteReader reader(*row);
  const uint64_t count = reader.Varint();
  if (kafka_partition >= count) return false;
  for (uint64_t passed = 0; passed < 2 * uint64_t{kafka_partition} + 1;
       ++passed) {
    reader.Varint();
  }
  const size_t begin = row->size() - reader.rest().size();
  const auto before = static_cast<int64_t>(reader.Varint());
  if (!reader.ok()) return false;
  const size_t end = row->size() - reader.rest().size();
  *charge = static_cast<uint32_t>(before + delta);
  std::string bytes;
  PutVarint(*charge, &bytes);
  row->replace(begin, end - begin, bytes);
  return true;
}

bool HasRoom(std::string_view row, uint32_t keys_per_partition) {
  bool room = false;
  ForEachSlot(row, [&](uint32_t, const Slots::Slot& slot) {
    room = slot.charge < keys_per_partition;
    return !room;
  });
  return room;
}

}  // namespace kafed::federation
