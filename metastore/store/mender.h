// Mender: waits for RocksDB's background errors and has them mended.
//
// RocksDB stops taking writes when a write or a flush fails, on a full disk
// above all. Its own recovery is switched off: it completes the record that
// failed, which was refused, or goes on behind it in the same write-ahead file,
// which the next write does not survive (7.8: an assertion). What is sure to be
// right is what a restart does, so that is done, in the process:
//
//   ok ---- background error ----> broken: every write is refused
//    ^                                | there is room
//    +------------- `mend` -----------+ (tried again until it succeeds)
//
// Thread-safe; one thread of its own, on which `mend` runs.
#pragma once

#include <rocksdb/listener.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"

namespace kafed::metastore {

class Mender {
 public:
  explicit Mender(std::string directory);
  ~Mender();  // calls Stop
  Mender(const Mender&) = delete;
  Mender& operator=(const Mender&) = delete;

  // For the options of the database; lives as long as either needs it.
  std::shared_ptr<rocksdb::EventListener> listener();

  // `mend` must work until Stop.
  void Start(std::function<absl::Status()> mend);
  void Stop();

  // Ok, or why nothing is written: ResourceExhausted for a full disk.
  absl::Status Health() const;

 private:
  class Listener;
  struct Errors;  // shared with the listener

  void Loop();

  const std::string directory_;
  const std::shared_ptr<Errors> errors_;
  std::function<absl::Status()> mend_;
  std::thread thread_;
};

}  // namespace kafed::metastore
