#include "metastore/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "metastore/log/chain_register.h"
#include "tests/unit/metastore/log_test_support.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::metastore {
namespace {

using ::testing::HasSubstr;

TEST(StoreTest, ADirectoryBelongsToOneOwnerAtATime) {
  TempDirectory directory;
  auto store = OpenStore(directory.path());
  const auto second = Store::Open({directory.path(), 0, nullptr});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.status().ToString(),
              HasSubstr("data directory " + directory.path() +
                        " is in use by another process (pid "));
  store.reset();
  EXPECT_TRUE(Store::Open({directory.path(), 0, nullptr}).ok());
}

TEST(StoreTest, WhatCannotBeADirectoryIsNamed) {
  EXPECT_EQ(Store::Open({}).status().code(),
            absl::StatusCode::kInvalidArgument);
  TempDirectory directory;
  const std::string file = directory.path() + "/file";
  std::ofstream(file) << "x";
  const auto store = Store::Open({file, 0, nullptr});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(store.status().ToString(), HasSubstr(file));
}

TEST(StoreTest, AFolderOfSomethingElseIsNotFilled) {
  TempDirectory directory;
  std::filesystem::create_directory(directory.path() + "/lost+found");
  std::ofstream(directory.path() + "/notes.txt") << "mine";
  const auto store = Store::Open({directory.path(), 0, nullptr});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(store.status().ToString(),
              HasSubstr("is not a data directory of kafed: it holds "
                        "'notes.txt'"));
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/kafed.lock"));
  // A fresh volume is fine, and so is what a former start left.
  std::filesystem::remove(directory.path() + "/notes.txt");
  EXPECT_TRUE(Store::Open({directory.path(), 0, nullptr}).ok());
  std::ofstream(directory.path() + "/notes.txt") << "mine";
  EXPECT_TRUE(Store::Open({directory.path(), 0, nullptr}).ok());
}

TEST(StoreTest, TheNodeIdIsDrawnOnce) {
  TempDirectory one, other;
  auto store = OpenStore(one.path());
  const std::string id = store->node_id();
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  store.reset();
  EXPECT_EQ(OpenStore(one.path())->node_id(), id);
  EXPECT_NE(OpenStore(other.path())->node_id(), id);
}

TEST(StoreTest, ANewerFormatIsRefused) {
  TempDirectory directory;
  ASSERT_TRUE(OpenStore(directory.path())->PutMeta("format_version", "2").ok());
  const auto store = Store::Open({directory.path(), 0, nullptr});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(store.status().ToString(), HasSubstr("has format version 2"));
}

TEST(StoreTest, TheFormatIsKnownBeforeStorageIsOpened) {
  TempDirectory directory;
  OpenStore(directory.path());
  const std::string file = directory.path() + "/kafed.format";
  std::ofstream(file) << "2\n";
  // Opened, it would be found to have lost what was synced.
  std::filesystem::remove(directory.path() + "/db/CURRENT");
  EXPECT_EQ(Store::Open({directory.path(), 0, nullptr}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  std::ofstream(file) << "";
  EXPECT_EQ(Store::Open({directory.path(), 0, nullptr}).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(StoreTest, StorageThatIsNotOursIsAnErrorNotACrash) {
  TempDirectory directory;
  OpenStore(directory.path()).reset();
  std::ofstream(directory.path() + "/db/CURRENT") << "nonsense\n";
  EXPECT_FALSE(Store::Open({directory.path(), 0, nullptr}).ok());
}

TEST(StoreTest, KeepsSmallValues) {
  TempDirectory directory;
  {
    auto store = OpenStore(directory.path());
    EXPECT_EQ(store->GetMeta("a").value(), std::nullopt);
    ASSERT_TRUE(store->PutMeta("a", "1").ok());
    ASSERT_TRUE(store->PutMeta("a", std::string("2\0", 2)).ok());
  }
  EXPECT_EQ(OpenStore(directory.path())->GetMeta("a").value(),
            std::string("2\0", 2));
}

TEST(StoreTest, TheAppliedPositionStandsWithWhatItCovers) {
  TempDirectory directory;
  {
    auto store = OpenStore(directory.path());
    EXPECT_EQ(store->Applied().value(), std::nullopt);
    const std::vector<MetaWrite> applied = {
        Store::AppliedWrite({3, LogIndex(2)})};
    const auto entries = MakeEntries(1, 2);
    ASSERT_TRUE(store->log().Append(LogIndex(1), entries, 0, applied).ok());
  }
  auto store = OpenStore(directory.path());
  EXPECT_EQ(store->Applied().value(), (Position{3, LogIndex(2)}));
  EXPECT_EQ(store->log().ReadBounds().value().last, LogIndex(2));
}

TEST(StoreTest, AGapInTheLogIsNamed) {
  TempDirectory directory;
  auto store = OpenStore(directory.path());
  const auto entries = MakeEntries(1, 2);
  ASSERT_TRUE(store->log().Append(LogIndex(1), entries, 0).ok());
  ASSERT_TRUE(store->log().Append(LogIndex(4), entries, 0).ok());
  const auto read = store->log().Read(LogIndex(1), LogIndex(5), 1 << 20);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(read.status().ToString(), HasSubstr("entry 3 is missing"));
}

TEST(StoreTest, FreeSpaceIsComparedWithTheFloor) {
  TempDirectory directory;
  auto store = OpenStore(directory.path());
  EXPECT_TRUE(store->Health().ok());
  const uint64_t free_bytes = store->FreeBytes().value();
  EXPECT_TRUE(store->CheckFreeSpace(1).ok());
  EXPECT_EQ(store->CheckFreeSpace(free_bytes * 2).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(LogValueTest, GoldenBytesOfVersion1) {
  EntryId id{};
  for (uint8_t i = 0; i < 16; ++i) id[i] = i;
  std::string hex;
  for (const char c : EncodeLogValue(LogIndex(7), id, "pay", 258)) {
    static constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 15];
  }
  // Version, checksum, running bytes, id, payload.
  EXPECT_EQ(hex,
            "01"
            "a2c207ba478a4aa7"
            "0201000000000000"
            "000102030405060708090a0b0c0d0e0f"
            "706179");
}

TEST(LogValueTest, EveryTruncationIsRejected) {
  const std::string value = EncodeLogValue(LogIndex(7), {}, "payload", 7);
  ASSERT_TRUE(DecodeLogValue(LogIndex(7), value).ok());
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_EQ(
        DecodeLogValue(LogIndex(7), value.substr(0, size)).status().code(),
        absl::StatusCode::kDataLoss);
  }
  EXPECT_FALSE(DecodeLogValue(LogIndex(8), value).ok());
  EXPECT_FALSE(DecodeLogValue(LogIndex(7), value + "x").ok());
}

TEST(ChainRegisterTest, SetsOnlyOnTheExpectedVersion) {
  TempDirectory directory;
  auto store = OpenStore(directory.path());
  StoreChainRegister durable(store.get());
  MemoryChainRegister memory;
  const std::vector<ChainLink> one = {{"local", LogIndex(1)}};
  const std::vector<ChainLink> two = {{"local", LogIndex(1)},
                                      {"zookeeper://a:1,b:2/x y", LogIndex(9)}};
  for (ChainRegister* reg : {static_cast<ChainRegister*>(&durable),
                             static_cast<ChainRegister*>(&memory)}) {
    EXPECT_EQ(reg->Read().value(), Chain());
    EXPECT_EQ(reg->CompareAndSet(0, one).value(), (Chain{1, one}));
    EXPECT_EQ(reg->CompareAndSet(0, two).status().code(),
              absl::StatusCode::kAborted);
    EXPECT_EQ(reg->CompareAndSet(1, two).value(), (Chain{2, two}));
    EXPECT_EQ(reg->Read().value(), (Chain{2, two}));
    EXPECT_EQ(reg->CompareAndSet(2, {}).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(reg->CompareAndSet(2, {{"b", LogIndex(5)}, {"a", LogIndex(4)}})
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(ChainRegisterTest, EveryTruncationIsRejected) {
  const Chain chain{12, {{"local", LogIndex(1)}, {"etcd", LogIndex(40)}}};
  const std::string text = EncodeChain(chain);
  EXPECT_EQ(text, "v1 12\n1 local\n40 etcd\n");
  EXPECT_EQ(DecodeChain(text).value(), chain);
  // A cut after a whole line leaves a shorter chain; it is written at once, so
  // only cuts within a line need to be seen.
  for (size_t size = 0; size < text.size(); ++size) {
    if (size > 6 && text[size - 1] == '\n') continue;
    EXPECT_FALSE(DecodeChain(text.substr(0, size)).ok()) << size;
  }
  for (const char* wrong : {"v2 1\n1 a\n", "v1 x\n1 a\n", "v1 1\na\n",
                            "v1 0\n1 a\n", "v1 1\n0 a\n", "v1 1 \n1 a\n"}) {
    EXPECT_FALSE(DecodeChain(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace kafed::metastore
