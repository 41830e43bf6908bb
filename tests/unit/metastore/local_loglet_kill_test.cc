// kill -9 during appends. A program of its own: it forks, which it may do only
// before storage has started threads.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "metastore/log/local_loglet.h"
#include "tests/unit/metastore/log_test_support.h"
#include "tests/unit/metastore/temp_directory.h"

namespace kafed::metastore {
namespace {

constexpr size_t kEverything = 1 << 30;

// The child appends and writes each acknowledged index into the pipe.
[[noreturn]] void AppendForever(const std::string& directory, int pipe) {
  auto store = Store::Open({directory, 1 << 20, nullptr});
  if (!store.ok()) _exit(2);
  auto loglet = LocalLoglet::Open(store->get());
  if (!loglet.ok()) _exit(3);
  for (uint64_t i = 1;; ++i) {
    if (!(*loglet)->AppendAt(LogIndex(i), MakeEntry(i, 3000)).ok()) _exit(4);
    if (write(pipe, &i, sizeof(i)) != sizeof(i)) _exit(5);
  }
}

TEST(LocalLogletKillTest, AKilledProcessLosesNothingAcknowledged) {
  constexpr uint64_t kEnough = 300;
  TempDirectory directory;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    close(ends[0]);
    AppendForever(directory.path(), ends[1]);
  }
  close(ends[1]);
  uint64_t acknowledged = 0;
  while (acknowledged < kEnough) {
    if (read(ends[0], &acknowledged, sizeof(acknowledged)) !=
        static_cast<ssize_t>(sizeof(acknowledged))) {
      break;
    }
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  // What was in the pipe when the child died was acknowledged as well.
  uint64_t later = 0;
  while (read(ends[0], &later, sizeof(later)) ==
         static_cast<ssize_t>(sizeof(later))) {
    acknowledged = later;
  }
  close(ends[0]);
  ASSERT_GE(acknowledged, kEnough);
  auto store = OpenStore(directory.path());
  auto loglet = LocalLoglet::Open(store.get());
  ASSERT_TRUE(loglet.ok()) << loglet.status();
  const LogIndex tail = (*loglet)->Tail().value();
  EXPECT_GE(tail.value(), acknowledged);
  EXPECT_LE(tail.value(), acknowledged + 1);
  const auto entries = (*loglet)->Read(LogIndex(1), kEverything).value();
  ASSERT_EQ(entries.size(), tail.value());
  for (uint64_t i = 1; i <= tail.value(); ++i) {
    EXPECT_EQ(entries[i - 1].id, MakeEntry(i).id);
  }
}

}  // namespace
}  // namespace kafed::metastore
