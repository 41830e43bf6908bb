// Failpoints: places where a test lets the process die.
//
// In builds with KAFED_FAILPOINTS only, and only if the environment says so:
//
//   KAFED_FAILPOINT=writer.append.after:3   dies the third time it gets there
//
// It dies as by kill -9, after what was not synced has been dropped, since
// kill -9 alone leaves the page cache as it is. In other builds nothing of this
// exists. docs/internals/testing.md lists the names.
#pragma once

#ifdef KAFED_FAILPOINTS

#include <functional>

namespace kafed {

void HitFailpoint(const char* name);

// Called right before the process dies: drops what is not durable.
void OnFailpoint(std::function<void()> drop);

// Bugs to be planted, by name in KAFED_PLANT: a test must find them.
bool IsPlanted(const char* bug);

}  // namespace kafed

#define KAFED_FAILPOINT(name) ::kafed::HitFailpoint(name)

#else

#define KAFED_FAILPOINT(name) static_cast<void>(0)

#endif
