// A file system that forgets what was not synced: builds with failpoints only.
//
// It passes everything on and notes how far each file was synced. When a
// failpoint ends the process, every file is cut there, as a power failure may
// do. Private to metastore/store.
#pragma once

#ifdef KAFED_FAILPOINTS

#include <rocksdb/env.h>

#include <memory>

namespace kafed::metastore {

// RocksDB's environment over such a file system. One for the process.
rocksdb::Env* UnsyncedLossEnv();

}  // namespace kafed::metastore

#endif
