#include "common/failpoint.h"

#ifdef KAFED_FAILPOINTS

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>

namespace kafed {
namespace {

struct Failpoint {
  std::string name;
  long left = 0;  // hits until it dies
};

struct State {
  std::mutex mutex;
  Failpoint armed;
  std::function<void()> drop;
};

State& TheState() {
  static State* const state = [] {
    auto* made = new State;
    const char* text = std::getenv("KAFED_FAILPOINT");
    const std::string spec = text != nullptr ? text : "";
    const size_t colon = spec.find(':');
    made->armed.name = spec.substr(0, colon);
    made->armed.left = colon == std::string::npos
                           ? 1
                           : std::strtol(spec.c_str() + colon + 1, nullptr, 10);
    return made;
  }();
  return *state;
}

}  // namespace

void HitFailpoint(const char* name) {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  if (state.armed.name != name || --state.armed.left > 0) return;
  if (state.drop) state.drop();
  kill(getpid(), SIGKILL);
  pause();  // the signal is on its way; nothing may run on
}

void OnFailpoint(std::function<void()> drop) {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  state.drop = std::move(drop);
}

bool IsPlanted(const char* bug) {
  const char* planted = std::getenv("KAFED_PLANT");
  return planted != nullptr && std::string(planted) == bug;
}

}  // namespace kafed

#endif
