// The contract of the log as a suite of tests.
//
// Link the object library `loglet_contract` and instantiate it for a bed:
//
//   INSTANTIATE_TEST_SUITE_P(Logs, LogletContractTest,
//                            ::testing::Values(BedParam{"Mine", MakeMine}),
//                            BedName);
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "metastore/log/shared_log.h"
#include "tests/unit/metastore/log_test_support.h"

namespace kafed::metastore {

// Keeps whatever a log under test stands on.
class Bed {
 public:
  virtual ~Bed() = default;
  virtual std::unique_ptr<SharedLog> Open(uint64_t budget_bytes,
                                          const Clock& clock) = 0;
};

struct BedParam {
  const char* name;
  std::function<std::unique_ptr<Bed>()> make;
};

inline std::string BedName(const ::testing::TestParamInfo<BedParam>& param) {
  return param.param.name;
}

class LogletContractTest : public ::testing::TestWithParam<BedParam> {
 protected:
  void SetUp() override { Use(0); }
  void Use(uint64_t budget_bytes, const Clock& clock = RealClock()) {
    log_.reset();
    bed_ = GetParam().make();
    log_ = bed_->Open(budget_bytes, clock);
  }
  void AppendMany(uint64_t count) {
    for (uint64_t i = 1; i <= count; ++i) {
      ASSERT_TRUE(log_->AppendAt(LogIndex(i), MakeEntry(i)).ok());
    }
  }

  std::unique_ptr<Bed> bed_;
  std::unique_ptr<SharedLog> log_;
};

}  // namespace kafed::metastore
