#include "common/radix_array.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <vector>

namespace kafed {
namespace {

TEST(RadixArrayTest, HoldsWhatWasPutAndNothingElse) {
  RadixArray<int> array;
  EXPECT_EQ(array.Find(0), nullptr);
  array.Edit(7) = 70;
  EXPECT_EQ(*array.Find(7), 70);
  EXPECT_EQ(*array.Find(8), 0);
  EXPECT_EQ(array.Find(32), nullptr);
  array.Edit(UINT32_MAX) = 1;
  EXPECT_EQ(*array.Find(UINT32_MAX), 1);
  EXPECT_EQ(*array.Find(7), 70);
  EXPECT_EQ(array.Find(1 << 20), nullptr);
  EXPECT_LT(array.MemoryBytes(), 8'192u) << "far indexes cost a path each";
}

TEST(RadixArrayTest, ArraysOfArraysShareAndSeparate) {
  RadixArray<RadixArray<int>> outer;
  outer.Edit(3).Edit(100'000) = 5;
  const RadixArray<RadixArray<int>> before = outer;
  outer.Edit(3).Edit(100'000) = 6;
  outer.Edit(4).Edit(1) = 7;
  EXPECT_EQ(*before.Find(3)->Find(100'000), 5);
  EXPECT_EQ(before.Find(4)->Find(1), nullptr);
  EXPECT_EQ(*outer.Find(3)->Find(100'000), 6);
  outer.Edit(3) = {};
  EXPECT_EQ(outer.Find(3)->Find(100'000), nullptr);
  EXPECT_EQ(*before.Find(3)->Find(100'000), 5);
}

TEST(RadixArrayTest, EveryNodeIsFreed) {
  const auto counted = std::make_shared<int>(0);
  {
    RadixArray<std::shared_ptr<int>> array;
    for (uint32_t i = 0; i < 5'000; i += 3) array.Edit(i) = counted;
    RadixArray<std::shared_ptr<int>> copy = array;
    for (uint32_t i = 0; i < 5'000; i += 6) copy.Edit(i) = nullptr;
    array = std::move(copy);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(RadixArrayTest, ReadersOfCopiesNeedNoLock) {
  RadixArray<int> array;
  constexpr uint32_t kSize = 2'000;
  for (uint32_t i = 0; i < kSize; ++i) array.Edit(i) = 0;
  std::vector<std::thread> readers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; ++t) {
    const RadixArray<int> copy = array;
    readers.emplace_back([copy, &wrong, t] {
      for (int round = 0; round < 20; ++round) {
        const RadixArray<int> mine = copy;  // copies and drops race with edits
        for (uint32_t i = 0; i < kSize; ++i) {
          if (*mine.Find(i) != t) ++wrong;
        }
      }
    });
    for (uint32_t i = 0; i < kSize; ++i) array.Edit(i) = t + 1;
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

RC_GTEST_PROP(RadixArrayProperty, BehavesLikeAMapAndItsCopiesStay, ()) {
  using Model = std::map<uint32_t, int>;
  std::vector<std::pair<RadixArray<int>, Model>> versions(1);
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 33), rc::gen::arbitrary<int>()));
  for (const auto& [shift, value] : steps) {
    auto [array, model] = versions.back();
    const auto index =
        static_cast<uint32_t>((uint64_t{1} << shift) + value % 3);
    array.Edit(index) = value;
    model[index] = value;
    versions.emplace_back(array, model);
  }
  for (const auto& [array, model] : versions) {
    for (const auto& [index, value] : model) {
      RC_ASSERT(array.Find(index) != nullptr);
      RC_ASSERT(*array.Find(index) == value);
    }
    const int* unset = array.Find(12'345);
    RC_ASSERT((unset == nullptr ? 0 : *unset) == 0);
  }
}

}  // namespace
}  // namespace kafed
