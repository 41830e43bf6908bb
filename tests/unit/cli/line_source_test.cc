#include "cli/line_source.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <thread>

namespace kafed::cli {
namespace {

class LineSourceTest : public testing::Test {
 protected:
  LineSourceTest() {
    EXPECT_EQ(pipe(files_.data()), 0);
    streams_.in = &in_;
    streams_.in_file = files_[0];
  }
  ~LineSourceTest() override {
    close(files_[0]);
    if (files_[1] >= 0) close(files_[1]);
  }
  void Write(const std::string& text) {
    EXPECT_EQ(write(files_[1], text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  void End() {
    close(files_[1]);
    files_[1] = -1;
  }

  std::istringstream in_;
  std::array<int, 2> files_{-1, -1};
  Streams streams_;
  std::string line_;
};

TEST_F(LineSourceTest, GivesEachLineAndTheLastWithoutItsEnd) {
  LineSource lines(streams_);
  const std::string long_line(60'000, 'x');
  Write("a\n\n" + long_line + "\nb");
  End();
  for (const std::string& expected :
       {std::string("a"), std::string(), long_line, std::string("b")}) {
    ASSERT_TRUE(lines.Next(&line_));
    EXPECT_EQ(line_, expected);
  }
  EXPECT_FALSE(lines.Next(&line_));
  EXPECT_FALSE(lines.interrupted());
}

TEST_F(LineSourceTest, ASignalEndsTheLinesAndTheNextIsAsUsual) {
  for (const int signal : {SIGTERM, SIGINT}) {
    LineSource lines(streams_);
    Write("a\n");
    ASSERT_TRUE(lines.Next(&line_));
    // Comes while the next line is waited for, or just before.
    std::thread other([signal] { kill(getpid(), signal); });
    EXPECT_FALSE(lines.Next(&line_));
    EXPECT_TRUE(lines.interrupted());
    other.join();
    struct sigaction now {};
    sigaction(signal, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
  }
}

TEST_F(LineSourceTest, WhatIsIgnoredStaysIgnored) {
  signal(SIGINT, SIG_IGN);
  {
    LineSource lines(streams_);
    kill(getpid(), SIGINT);
    Write("a\n");
    EXPECT_TRUE(lines.Next(&line_));
  }
  signal(SIGINT, SIG_DFL);
}

TEST_F(LineSourceTest, ReadsAStreamThatIsNoFile) {
  streams_.in_file = -1;
  in_.str("a\nb");
  LineSource lines(streams_);
  EXPECT_TRUE(lines.Next(&line_));
  EXPECT_TRUE(lines.Next(&line_));
  EXPECT_EQ(line_, "b");
  EXPECT_FALSE(lines.Next(&line_));
}

}  // namespace
}  // namespace kafed::cli
