#include "federation/image/slots.h"

#include <gtest/gtest.h>

#include <string>

namespace kafed::federation {
namespace {

Slots Row(std::initializer_list<uint32_t> charges) {
  Slots row;
  uint32_t partition = 1'000;
  for (const uint32_t charge : charges)
    row.slots.push_back({++partition, charge});
  return row;
}

TEST(SlotsTest, AChargeIsChangedInItsBytes) {
  // From one byte to two and back, in the middle and at both ends.
  const Slots before = Row({127, 127, 3, 128});
  for (const auto& [slot, delta] :
       {std::pair(0u, 1), std::pair(1u, -127), std::pair(2u, 20'000),
        std::pair(3u, -1), std::pair(3u, 0)}) {
    std::string bytes = EncodeRow(before);
    uint32_t charge = 0;
    ASSERT_TRUE(AddCharge(slot, delta, &bytes, &charge));
    Slots expected = before;
    expected.slots[slot].charge = static_cast<uint32_t>(
        static_cast<int>(expected.slots[slot].charge) + delta);
    EXPECT_EQ(bytes, EncodeRow(expected)) << slot;
    EXPECT_EQ(charge, expected.slots[slot].charge);
  }
}

TEST(SlotsTest, ASlotThatIsNotThereChangesNothing) {
  const std::string before = EncodeRow(Row({1, 2}));
  uint32_t charge = 7;
  std::string bytes = before;
  EXPECT_FALSE(AddCharge(2, 1, &bytes, &charge));
  EXPECT_EQ(bytes, before);
  bytes = before.substr(0, 4);  // cut off
  EXPECT_FALSE(AddCharge(1, 1, &bytes, &charge));
  bytes.clear();
  EXPECT_FALSE(AddCharge(0, 1, &bytes, &charge));
  EXPECT_EQ(charge, 7u);
}

TEST(SlotsTest, RoomIsASlotBelowTheLimit) {
  EXPECT_TRUE(HasRoom(EncodeRow(Row({10, 9, 10})), 10));
  EXPECT_FALSE(HasRoom(EncodeRow(Row({10, 12, 10})), 10));
  EXPECT_FALSE(HasRoom(EncodeRow(Row({})), 10));
  EXPECT_FALSE(HasRoom("", 10));
}

TEST(SlotsTest, AVisitSeesEachSlotUntilItHasEnough) {
  const std::string bytes = EncodeRow(Row({5, 300, 0}));
  std::vector<uint32_t> seen;
  ForEachSlot(bytes, [&](uint32_t i, const Slots::Slot& slot) {
    EXPECT_EQ(slot.partition_plus_1, 1'001 + i);
    seen.push_back(slot.charge);
    return slot.charge != 300;
  });
  EXPECT_EQ(seen, (std::vector<uint32_t>{5, 300}));
}

}  // namespace
}  // namespace kafed::federation
