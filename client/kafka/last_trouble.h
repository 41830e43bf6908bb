// LastTrouble: what librdkafka last said of its connections.
//
// A message that timed out, or a question that was not answered, only says so;
// why (a wrong password, a broker that refuses) was told before, on its own.
//
// Thread-safe.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace kafed::client {

class LastTrouble {
 public:
  // An error event or callback.
  void Take(rd_kafka_resp_err_t code, const char* text) {
    // "All brokers are down" says less than what came before it.
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || text == nullptr) return;
    absl::MutexLock lock(&mutex_);
    text_ = text;
    // "(after 3ms in state CONNECT, ...)" would make each another one.
    const size_t times = text_.rfind(" (after ");
    if (times != std::string::npos && text_.back() == ')') text_.resize(times);
  }

  // A broker has answered.
  void Clear() {
    absl::MutexLock lock(&mutex_);
    text_.clear();
  }

  // "status: text"; as it is when ok or where nothing is known.
  absl::Status Explain(const absl::Status& status) const {
    absl::MutexLock lock(&mutex_);
    if (status.ok() || text_.empty()) return status;
    return {status.code(), std::string(status.message()) + ": " + text_};
  }

 private:
  mutable absl::Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kafed::client
