// What the program asks of its memory allocator.
//
// The node runs on jemalloc (docs/decisions/0012-what-an-edit-touches.md),
// builds with sanitizers on theirs, tests and clients on the C library's.
#pragma once

namespace kafed {

// Gives memory that is free back to the system, where the allocator would keep
// it for a while; after work that took much of it.
void ReturnFreeMemory();

}  // namespace kafed
