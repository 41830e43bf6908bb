// BlockTable against std::map: what an edit does, what a copy keeps, that a
// scan visits each row once, and that equal tables have equal digests.
#include <map>
#include <vector>

#include "common/block_table.h"
#include "tests/fuzz/support.h"

namespace kafed {
namespace {

using Model = std::map<std::string, std::string>;

void CheckEqual(const BlockTable& table, const Model& model) {
  FUZZ_CHECK(table.size() == model.size());
  Model found;
  BlockTable::Cursor cursor = 0;
  while (cursor != BlockTable::kEnd) {
    cursor = table.Scan(cursor, 5, [&](std::string_view k, std::string_view v) {
      FUZZ_CHECK(found.emplace(k, v).second);
    });
  }
  FUZZ_CHECK(found == model);
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : model) keys.push_back(key);
  keys.push_back("no such key");
  std::vector<std::optional<std::string_view>> results(keys.size());
  table.FindMany(keys, results);
  for (size_t i = 0; i < keys.size(); ++i) {
    FUZZ_CHECK(results[i] == table.Find(keys[i]));
    const auto at = model.find(std::string(keys[i]));
    FUZZ_CHECK(results[i].has_value() == (at != model.end()));
    if (at != model.end()) FUZZ_CHECK(*results[i] == at->second);
  }
  BlockTable rebuilt;
  for (auto at = model.rbegin(); at != model.rend(); ++at) {
    rebuilt.Put(at->first, at->second);
  }
  FUZZ_CHECK(rebuilt.digest() == table.digest());
}

}  // namespace
}  // namespace kafed

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kafed::BlockTable;
  kafed::fuzz::Pieces pieces(kafed::fuzz::AsText(data, size));
  BlockTable table;
  kafed::Model model;
  std::vector<std::pair<BlockTable, kafed::Model>> kept;
  for (int steps = 0; !pieces.empty() && steps < 200; ++steps) {
    const uint8_t action = pieces.Byte();
    if (action < 40) {  // many keys at once: pages split
      for (int i = 0; i < 4 * (1 + action); ++i) {
        const std::string key = "k" + std::to_string(action * 1000 + i);
        table.Put(key, "v");
        model[key] = "v";
      }
      continue;
    }
    const std::string key(pieces.Block().substr(0, BlockTable::kMaxKeyBytes));
    if (action < 140) {
      const std::string value(pieces.Block());
      table.Put(key, value);
      model[key] = value;
    } else if (action < 200) {
      FUZZ_CHECK(table.Erase(key) == (model.erase(key) > 0));
    } else if (action < 210 && !model.empty()) {
      const std::string first = model.begin()->first;
      FUZZ_CHECK(table.Erase(first));
      model.erase(first);
    } else if (kept.size() < 4) {
      kept.emplace_back(table, model);
    }
  }
  kafed::CheckEqual(table, model);
  for (const auto& [copy, then] : kept) kafed::CheckEqual(copy, then);
  return 0;
}
