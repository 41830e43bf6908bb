#include "common/block_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <xxhash.h>

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace kafed {
namespace {

TEST(BlockTableTest, FindsReplacesAndErases) {
  BlockTable table;
  EXPECT_FALSE(table.Find("a"));
  EXPECT_FALSE(table.Erase("a"));
  table.Put("a", "1");
  table.Put("b", "");
  table.Put("", "empty key");
  EXPECT_EQ(table.Find("a"), "1");
  EXPECT_EQ(table.Find("b"), "");
  EXPECT_EQ(table.Find(""), "empty key");
  table.Put("a", "2222");
  EXPECT_EQ(table.Find("a"), "2222");
  EXPECT_EQ(table.size(), 3u);
  EXPECT_TRUE(table.Erase("a"));
  EXPECT_FALSE(table.Find("a"));
  EXPECT_EQ(table.size(), 2u);
}

TEST(BlockTableTest, ACopyNeverChanges) {
  BlockTable table;
  for (int i = 0; i < 5'000; ++i) table.Put(std::to_string(i), "old");
  const BlockTable copy = table;
  for (int i = 0; i < 5'000; i += 2) table.Put(std::to_string(i), "new");
  for (int i = 1; i < 5'000; i += 2) table.Erase(std::to_string(i));
  EXPECT_EQ(copy.size(), 5'000u);
  EXPECT_EQ(table.size(), 2'500u);
  for (int i = 0; i < 5'000; ++i) {
    EXPECT_EQ(copy.Find(std::to_string(i)), "old");
  }
}

TEST(BlockTableTest, TheDigestDependsOnTheRowsAndNotOnTheirOrder) {
  BlockTable forward;
  BlockTable backward;
  for (int i = 0; i < 1'000; ++i) {
    forward.Put(std::to_string(i), "v");
    backward.Put(std::to_string(999 - i), "v");
  }
  EXPECT_EQ(forward.digest(), backward.digest());
  backward.Put("7", "w");
  EXPECT_NE(forward.digest(), backward.digest());
  backward.Put("7", "v");
  EXPECT_EQ(forward.digest(), backward.digest());
  backward.Erase("7");
  forward.Erase("7");
  EXPECT_EQ(forward.digest(), backward.digest());
  // Which part is key and which is value matters.
  BlockTable one;
  BlockTable two;
  one.Put("ab", "c");
  two.Put("a", "bc");
  EXPECT_NE(one.digest(), two.digest());
}

TEST(BlockTableTest, LargeValuesAndManyRowsShareBlocksFairly) {
  BlockTable table;
  const std::string large(100'000, 'x');
  table.Put("large", large);
  for (int i = 0; i < 100'000; ++i) {
    table.Put("host-" + std::to_string(i), "0123456789abcdef");
  }
  EXPECT_EQ(table.Find("large"), large);
  EXPECT_EQ(table.Find("host-99999"), "0123456789abcdef");
  EXPECT_LT((table.MemoryBytes() - large.size()) / 100'000, 64u);
}

TEST(BlockTableTest, LongKeysStandBesideShortOnes) {
  BlockTable table;
  std::map<std::string, std::string> model;
  for (size_t i = 0; i < 1'000; ++i) {
    std::string key = std::to_string(i);
    key.resize(std::max(key.size(), i % 7 == 0 ? 250 + i % 12 : 0), 'k');
    const std::string value(i % 11 == 0 ? 300 * i : i % 5, 'v');
    table.Put(key, value);
    model[key] = value;
  }
  for (const auto& [key, value] : model) EXPECT_EQ(table.Find(key), value);
  for (const auto& [key, value] : model) EXPECT_TRUE(table.Erase(key));
  EXPECT_TRUE(table.empty());
}

TEST(BlockTableTest, AScanVisitsEachRowOnceAcrossEdits) {
  BlockTable table;
  for (int i = 0; i < 20'000; ++i) table.Put(std::to_string(i), "v");
  std::multiset<std::string> seen;
  BlockTable::Cursor cursor = 0;
  int added = 20'000;
  while (cursor != BlockTable::kEnd) {
    cursor = table.Scan(
        cursor, 500,
        [&](std::string_view key, std::string_view) { seen.emplace(key); });
    // Pages grow meanwhile.
    for (int i = 0; i < 2'000; ++i)
      table.Put("n" + std::to_string(added++), "");
  }
  for (int i = 0; i < 20'000; ++i) {
    EXPECT_EQ(seen.count(std::to_string(i)), 1u) << i;
  }
}

TEST(BlockTableTest, GroupedLookUpsAgreeWithSingleOnes) {
  BlockTable table;
  for (int i = 0; i < 3'000; ++i)
    table.Put(std::to_string(i), std::to_string(i));
  std::vector<std::string> names;
  for (int i = 2'950; i < 3'050; ++i) names.push_back(std::to_string(i));
  std::vector<std::string_view> keys(names.begin(), names.end());
  std::vector<std::optional<std::string_view>> results(keys.size());
  table.FindMany(keys, results);
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(results[i], table.Find(keys[i]));
  }
}

TEST(BlockTableTest, ReadersOfCopiesNeedNoLock) {
  BlockTable table;
  for (int i = 0; i < 2'000; ++i) table.Put(std::to_string(i), "0");
  std::vector<std::thread> readers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; ++t) {
    const BlockTable copy = table;
    readers.emplace_back([copy, &wrong, t] {
      for (int round = 0; round < 20; ++round) {
        const BlockTable mine = copy;  // copies and drops race with edits
        for (int i = 0; i < 2'000; ++i) {
          if (mine.Find(std::to_string(i)) != std::to_string(t)) ++wrong;
        }
      }
    });
    for (int i = 0; i < 2'000; ++i) {
      table.Put(std::to_string(i), std::to_string(t + 1));
    }
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

// Keys that all lead to one page of a large table, which by chance would take
// millions of rows.
std::vector<std::string> KeysOfOnePage(size_t count) {
  std::vector<std::string> keys;
  for (uint64_t i = 0; keys.size() < count; ++i) {
    std::string key = std::to_string(i);
    if (XXH3_64bits(key.data(), key.size()) >> 52 == 0) {
      keys.push_back(std::move(key));
    }
  }
  return keys;
}

TEST(BlockTableTest, AFullPageBecomesABranch) {
  const std::vector<std::string> keys = KeysOfOnePage(3'000);  // > 64 blocks
  BlockTable table;
  for (const std::string& key : keys) table.Put(key, key);
  const BlockTable copy = table;
  for (const std::string& key : keys) EXPECT_EQ(table.Find(key), key);
  std::multiset<std::string> seen;
  for (BlockTable::Cursor at = 0; at != BlockTable::kEnd;) {
    at = table.Scan(at, 100, [&](std::string_view key, std::string_view) {
      seen.emplace(key);
    });
  }
  EXPECT_EQ(seen, std::multiset<std::string>(keys.begin(), keys.end()));
  for (const std::string& key : keys) EXPECT_TRUE(table.Erase(key));
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.digest(), TableDigest());
  for (const std::string& key : keys) EXPECT_EQ(copy.Find(key), key);
}

std::map<std::string, std::string> RowsOf(const BlockTable& table) {
  std::map<std::string, std::string> rows;
  table.ForEach([&](std::string_view key, std::string_view value) {
    rows.emplace(key, value);
  });
  return rows;
}

// Every version, kept while later ones are edited: in place, in runs of rows,
// between narrow and wide blocks.
RC_GTEST_PROP(BlockTableProperty, VersionsStayAsTheyWere, ()) {
  BlockTable table;
  std::map<std::string, std::string> model;
  std::vector<std::pair<BlockTable, std::map<std::string, std::string>>> kept;
  const auto steps =
      *rc::gen::container<std::vector<std::tuple<int, int, int>>>(
          200, rc::gen::tuple(rc::gen::inRange(0, 20), rc::gen::inRange(0, 60),
                              rc::gen::inRange(0, 4)));
  for (const auto& [action, number, size] : steps) {
    std::string key = std::to_string(number);
    if (number % 16 == 0) key.resize(254 + static_cast<size_t>(size), 'k');
    if (action == 0) {
      kept.emplace_back(table, model);
    } else if (action < 4) {
      RC_ASSERT(table.Erase(key) == (model.erase(key) == 1));
    } else {
      const size_t bytes = action == 4 ? 70'000 : 5 * static_cast<size_t>(size);
      const std::string value(bytes, static_cast<char>('a' + action));
      table.Put(key, value);
      model[key] = value;
    }
  }
  kept.emplace_back(table, model);
  for (const auto& [version, rows] : kept) {
    RC_ASSERT(RowsOf(version) == rows);
    BlockTable anew;
    for (const auto& [key, value] : rows) anew.Put(key, value);
    RC_ASSERT(anew.digest() == version.digest());
  }
}

RC_GTEST_PROP(BlockTableProperty, BehavesLikeAMap, ()) {
  BlockTable table;
  std::map<std::string, std::string> model;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 3), rc::gen::inRange(0, 200)));
  for (const auto& [action, number] : steps) {
    const std::string key = "k" + std::to_string(number);
    if (action == 0) {
      RC_ASSERT(table.Erase(key) == (model.erase(key) == 1));
    } else {
      const std::string value(static_cast<size_t>(number * action), 'v');
      table.Put(key, value);
      model[key] = value;
    }
  }
  RC_ASSERT(RowsOf(table) == model);
  RC_ASSERT(table.size() == model.size());
}

}  // namespace
}  // namespace kafed
