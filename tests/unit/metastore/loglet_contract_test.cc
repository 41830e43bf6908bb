// The contract of the log, run on the implementations of one process.
#include "tests/unit/metastore/loglet_contract.h"

#include <memory>
#include <string>

#include "common/log.h"
#include "metastore/log/chain_register.h"
#include "metastore/log/local_loglet.h"
#include "metastore/log/memory_loglet.h"
#include "metastore/log/memory_quorum.h"
#include "metastore/log/virtual_log.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::metastore {
namespace {

class MemoryBed : public Bed {
 public:
  std::unique_ptr<SharedLog> Open(uint64_t budget_bytes,
                                  const Clock& clock) override {
    return std::make_unique<MemoryLoglet>(
        MemoryLogletOptions{LogIndex(1), budget_bytes}, clock);
  }
};

class MemoryQuorumBed : public Bed {
 public:
  std::unique_ptr<SharedLog> Open(uint64_t budget_bytes,
                                  const Clock& clock) override {
    auto log = MemoryQuorumLoglet::Open(
        &servers_, {"/log", LogIndex(1), budget_bytes}, clock);
    if (!log.ok()) Fault("cannot open", {{"error", log.status()}});
    return *std::move(log);
  }

 private:
  MemoryServers servers_;
};

class LocalBed : public Bed {
 public:
  std::unique_ptr<SharedLog> Open(uint64_t budget_bytes,
                                  const Clock& clock) override {
    auto log = LocalLoglet::Open(store_.get(),
                                 {"local", LogIndex(1), budget_bytes}, clock);
    if (!log.ok()) Fault("cannot open", {{"error", log.status()}});
    return *std::move(log);
  }

 private:
  TempDirectory directory_;
  std::unique_ptr<Store> store_ = OpenStore(directory_.path());
};

class VirtualBed : public Bed {
 public:
  std::unique_ptr<SharedLog> Open(uint64_t budget_bytes,
                                  const Clock& clock) override {
    auto log = VirtualLog::Open(
        &register_,
        [budget_bytes, &clock](
            const ChainLink& link) -> absl::StatusOr<std::shared_ptr<Loglet>> {
          return std::make_shared<MemoryLoglet>(
              MemoryLogletOptions{link.first, budget_bytes}, clock);
        },
        {"memory", LogIndex(1)}, clock);
    if (!log.ok()) Fault("cannot open", {{"error", log.status()}});
    return *std::move(log);
  }

 private:
  MemoryChainRegister register_;
};

INSTANTIATE_TEST_SUITE_P(
    Logs, LogletContractTest,
    ::testing::Values(
        BedParam{"Memory", [] { return std::make_unique<MemoryBed>(); }},
        BedParam{"MemoryQuorum",
                 [] { return std::make_unique<MemoryQuorumBed>(); }},
        BedParam{"Local", [] { return std::make_unique<LocalBed>(); }},
        BedParam{"Virtual", [] { return std::make_unique<VirtualBed>(); }}),
    BedName);

}  // namespace
}  // namespace kafed::metastore
