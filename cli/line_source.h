// LineSource: the lines of stdin, until they end or somebody wants them to.
//
// While one lives, the first SIGINT or SIGTERM ends the lines instead of the
// process, so that what was sent can be finished; the next one ends the process
// as usual. Tests read from a stream, without signals.
//
// One at a time, one thread. A signal may come on any thread.
#pragma once

#include <signal.h>

#include <istream>
#include <string>

#include "cli/invocation.h"

namespace kafed::cli {

class LineSource {
 public:
  // `streams` outlives it; its file descriptor is read where it has one.
  explicit LineSource(const Streams& streams);
  ~LineSource();
  LineSource(const LineSource&) = delete;
  LineSource& operator=(const LineSource&) = delete;

  // The next line without its newline; false at the end, or if interrupted.
  bool Next(std::string* line);

  // A signal has come.
  bool interrupted() const;

 private:
  // Takes more from the file; false at its end or when interrupted.
  bool Fill();

  std::istream& in_;
  const int file_;  // -1: read from in_
  std::string buffer_;
  size_t taken_ = 0;
  struct sigaction former_int_ {};
  struct sigaction former_term_ {};
};

}  // namespace kafed::cli
