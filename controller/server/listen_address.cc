#include "controller/server/listen_address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace kafed::controller {
namespace {

// The errno of binding, 0 if it worked.
int TryBind(const addrinfo& at) {
  const int file =
      socket(at.ai_family, at.ai_socktype | SOCK_CLOEXEC, at.ai_protocol);
  if (file < 0) return errno;
  // As servers do: connections of a former process that linger do not matter.
  const int on = 1;
  setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool bound =
      bind(file, at.ai_addr, at.ai_addrlen) == 0 && listen(file, 1) == 0;
  const int reason = bound ? 0 : errno;
  close(file);
  return reason;
}

std::string Explain(int reason) {
  switch (reason) {
    case EADDRINUSE:
      return "the port is in use; stop the other process or choose another";
    case EADDRNOTAVAIL:
      return "the address is not one of this machine";
    case EACCES:
      return "this user may not use the port; choose one above 1023";
    default:
      return std::strerror(reason);
  }
}

}  // namespace

absl::Status CheckListen(std::string_view field, const std::string& address) {
  const auto bad = [&](const std::string& why) {
    return absl::UnavailableError(std::string(field) + ": can't listen on " +
                                  address + ": " + why);
  };
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return bad("expected HOST:PORT");
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed =
      getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
  if (failed != 0) {
    return bad("host '" + host + "' is not known (" + gai_strerror(failed) +
               ")");
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found,
                                                           &freeaddrinfo);
  int reason = 0;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    reason = TryBind(*at);
    if (reason == 0) return absl::OkStatus();
  }
  return bad(Explain(reason));
}

}  // namespace kafed::controller
