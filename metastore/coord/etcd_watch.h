// EtcdWatch: follows what is put to a range of keys, by a thread of its own.
//
// It tells of puts from when it was set, not of those before, and asks for no
// old revision: a compaction does not disturb it. When the connection is lost,
// or its server loses its leader, it is set again, on another server if there
// is one; then puts may have been missed in between.
//
// Its functions are called from its thread, one at a time, and must not call
// the session. It ends with the object; the session must outlive it.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "metastore/coord/etcd_session.h"

namespace kafed::metastore {

class EtcdWatch {
 public:
  struct Functions {
    // The watch has been set: look what is there.
    std::function<void()> on_set;
    // In the order of the store; those of one commit come one by one.
    std::function<void(std::string_view key, std::string_view value)> on_put;
    // All puts of one or more commits have been told.
    std::function<void()> on_told;
  };

  // The keys from `from` on, before `to`.
  EtcdWatch(EtcdSession* session, std::string from, std::string to,
            Functions functions);
  ~EtcdWatch();
  EtcdWatch(const EtcdWatch&) = delete;
  EtcdWatch& operator=(const EtcdWatch&) = delete;

 private:
  struct Stream;

  void Run();  // the thread
  // Until the watch is over; how long to wait before the next.
  milliseconds Follow();

  EtcdServers& servers_;
  const std::string from_;
  const std::string to_;
  const Functions functions_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  Stream* stream_ = nullptr;  // to be cancelled
  std::thread thread_;
};

}  // namespace kafed::metastore
