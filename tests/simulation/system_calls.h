// The system calls that the simulation stands in for, as the system has them.
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <ctime>

namespace kafed::simulation {

struct SystemCalls {
  int (*mutex_lock)(pthread_mutex_t*);
  int (*mutex_trylock)(pthread_mutex_t*);
  int (*mutex_unlock)(pthread_mutex_t*);
  int (*cond_wait)(pthread_cond_t*, pthread_mutex_t*);
  int (*cond_timedwait)(pthread_cond_t*, pthread_mutex_t*, const timespec*);
  int (*cond_clockwait)(pthread_cond_t*, pthread_mutex_t*, clockid_t,
                        const timespec*);
  int (*cond_signal)(pthread_cond_t*);
  int (*cond_broadcast)(pthread_cond_t*);
  int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  int (*join)(pthread_t, void**);
  int (*yield)();
  int (*nanosleep)(const timespec*, timespec*);
  int (*clock_nanosleep)(clockid_t, int, const timespec*, timespec*);
  int (*clock_gettime)(clockid_t, timespec*);
  ssize_t (*getrandom)(void*, size_t, unsigned);
  long (*syscall)(long, ...);

  static const SystemCalls& Get();
};

}  // namespace kafed::simulation
