#include "metastore/coord/etcd_servers.h"

#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace kafed::metastore {
namespace {

// How long one server is given to connect while there are others, and the pause
// before a server is asked again.
constexpr milliseconds kConnectTime{500};
constexpr milliseconds kPause{50};

using std::chrono::steady_clock;

absl::Status CheckAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon != std::string::npos && colon > 0 &&
      !absl::StrContains(address, "/") &&
      absl::SimpleAtoi(address.substr(colon + 1), &port) && port > 0 &&
      port <= 65'535) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("etcd servers: '", address,
                   "' is not understood; expected HOST:PORT[,HOST:PORT...]"));
}

absl::StatusOr<std::string> ReadPem(const char* option,
                                    const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.good() && !file.eof()) text.clear();
  if (!absl::StrContains(text, "-----BEGIN ")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "etcd ", option, ": '", path, "' can't be read or is no PEM file"));
  }
  return text;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const EtcdOptions& options) {
  const bool shows_any =
      !options.certificate_file.empty() || !options.key_file.empty();
  if (options.ca_file.empty()) {
    if (!shows_any) return grpc::InsecureChannelCredentials();
    return absl::InvalidArgumentError(
        "etcd certificate_file, key_file: of no use without ca_file, which "
        "turns TLS on");
  }
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return absl::InvalidArgumentError(
        "etcd certificate_file, key_file: expected both or neither");
  }
  grpc::SslCredentialsOptions ssl;
  ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadPem("ca_file", options.ca_file));
  if (shows_any) {
    ASSIGN_OR_RETURN(ssl.pem_cert_chain,
                     ReadPem("certificate_file", options.certificate_file));
    ASSIGN_OR_RETURN(ssl.pem_private_key,
                     ReadPem("key_file", options.key_file));
  }
  return grpc::SslCredentials(ssl);
}

// etcd has refused a token that it has given: it was restarted, or its users
// have changed.
bool IsStaleToken(const grpc::Status& status) {
  return absl::StrContains(status.error_message(), "invalid auth token") ||
         absl::StrContains(status.error_message(), "auth store is old");
}

absl::Status StatusOf(const std::string& address, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string& message = status.error_message();
  const std::string text = absl::StrCat("etcd ", address, ": ", message);
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND:
      return absl::NotFoundError(text);
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return absl::PermissionDeniedError(text);
    case grpc::StatusCode::INVALID_ARGUMENT:
      // A call without a user where users are enabled, and a wrong password.
      if (absl::StrContains(message, "user name is empty") ||
          absl::StrContains(message, "authentication failed")) {
        return absl::PermissionDeniedError(text);
      }
      return absl::InvalidArgumentError(text);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      if (absl::StrContains(message, "too many requests")) {
        return absl::UnavailableError(text);
      }
      return absl::ResourceExhaustedError(text);
    case grpc::StatusCode::FAILED_PRECONDITION:
      return absl::FailedPreconditionError(text);
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::UnimplementedError(
          absl::StrCat(text, ": is it etcd 3.4 or later?"));
    default:
      // A lost connection and a deadline among them.
      return absl::UnavailableError(text);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdServers>> EtcdServers::Make(
    EtcdOptions options) {
  if (options.user.empty() != options.password.empty()) {
    return absl::InvalidArgumentError(
        "etcd user, password: expected both or neither");
  }
  ASSIGN_OR_RETURN(const auto credentials, MakeCredentials(options));
  std::unique_ptr<EtcdServers> servers(new EtcdServers(std::move(options)));
  for (std::string address : std::vector<std::string>(
           absl::StrSplit(servers->options_.servers, ','))) {
    RETURN_IF_ERROR(CheckAddress(address));
    servers->Add(std::move(address), credentials);
  }
  return servers;
}

void EtcdServers::Add(
    std::string address,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  // A connection of its own; direct; one attempt a call; back soon.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // Finds a server that has gone without a word; etcd allows one in 5 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  auto server = std::make_unique<Server>();
  server->channel = grpc::CreateCustomChannel(address, credentials, arguments);
  server->address = std::move(address);
  server->kv = etcdserverpb::KV::NewStub(server->channel);
  server->watch = etcdserverpb::Watch::NewStub(server->channel);
  server->lease = etcdserverpb::Lease::NewStub(server->channel);
  server->auth = etcdserverpb::Auth::NewStub(server->channel);
  servers_.push_back(std::move(server));
}

EtcdServers::Server& EtcdServers::Current() {
  std::lock_guard lock(mutex_);
  return *servers_[current_];
}

void EtcdServers::PassOver(const Server& server) {
  std::lock_guard lock(mutex_);
  if (servers_[current_].get() == &server) {
    current_ = (current_ + 1) % servers_.size();
  }
}

absl::StatusOr<EtcdServers::Server*> EtcdServers::Connected(
    milliseconds limit) {
  const Time end = steady_clock::now() + limit;
  while (true) {
    Server& server = Current();
    const Time until = std::min(end, steady_clock::now() + kConnectTime);
    grpc_connectivity_state state = server.channel->GetState(true);
    // gRPC connects only while somebody waits for it.
    const auto changes_before = [&](Time time) {
      return server.channel->WaitForStateChange(
          state,
          std::chrono::system_clock::now() + (time - steady_clock::now()));
    };
    while (state == GRPC_CHANNEL_IDLE || state == GRPC_CHANNEL_CONNECTING) {
      if (!changes_before(until)) break;
      state = server.channel->GetState(true);
    }
    if (state == GRPC_CHANNEL_READY) return &server;
    if (steady_clock::now() + kPause >= end) {
      return absl::UnavailableError(absl::StrCat(
          "etcd does not answer: no connection to ", options_.servers));
    }
    PassOver(server);
    changes_before(steady_clock::now() + kPause);
  }
}

absl::Status EtcdServers::AddToken(Server& server,
                                   grpc::ClientContext* context) {
  if (options_.user.empty()) return absl::OkStatus();
  std::string token;
  {
    std::lock_guard lock(mutex_);
    token = token_;
  }
  if (token.empty()) {
    grpc::ClientContext login;
    login.set_deadline(context->deadline());
    etcdserverpb::AuthenticateRequest request;
    request.set_name(options_.user);
    request.set_password(options_.password);
    etcdserverpb::AuthenticateResponse response;
    RETURN_IF_ERROR(StatusOf(
        server.address, server.auth->Authenticate(&login, request, &response)));
    token = response.token();
    std::lock_guard lock(mutex_);
    token_ = token;
  }
  context->AddMetadata("token", token);
  return absl::OkStatus();
}

absl::Status EtcdServers::Judge(const Server& server,
                                const grpc::Status& status) {
  absl::Status judged = StatusOf(server.address, status);
  if (absl::IsUnavailable(judged)) PassOver(server);
  if (IsStaleToken(status)) {
    std::lock_guard lock(mutex_);
    token_.clear();
  }
  return judged;
}

absl::Status EtcdServers::Call(Kind kind, milliseconds limit,
                               const OneCall& call) {
  const Time end = steady_clock::now() + limit;
  // So that there is time for another server.
  const milliseconds patience = servers_.size() > 1 ? limit / 2 : limit;
  for (bool renewed = false;;) {
    const auto left = [&] {
      return std::chrono::duration_cast<milliseconds>(end -
                                                      steady_clock::now());
    };
    ASSIGN_OR_RETURN(Server * server, Connected(left()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::min(patience, left()));
    absl::Status done = AddToken(*server, &context);
    const bool logged_in = done.ok();
    bool stale = false;
    if (logged_in) {
      const grpc::Status status = call(*server, &context);
      stale = IsStaleToken(status);
      done = Judge(*server, status);
    } else if (absl::IsUnavailable(done)) {
      PassOver(*server);
    }
    // Refused before it was looked at: to be sent again in any case.
    if (stale && !renewed) {
      renewed = true;
      continue;
    }
    if (!absl::IsUnavailable(done)) return done;
    if ((kind == Kind::kWrite && logged_in) || left() <= kPause) return done;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace kafed::metastore
