#include "metastore/coord/zookeeper_session.h"

#include <zookeeper/zookeeper.h>

#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace kafed::metastore {
namespace {

// Gets of GetMany that are under way at once.
constexpr size_t kGetsAtOnce = 128;
constexpr size_t kFirstBufferBytes = 16 << 10;

absl::Status StatusOf(int code, const std::string& path) {
  if (code == ZOK) return absl::OkStatus();
  const std::string text =
      absl::StrCat("ZooKeeper: ", path, ": ", zerror(code));
  switch (code) {
    case ZNONODE:
      return absl::NotFoundError(text);
    case ZNODEEXISTS:
      return absl::AlreadyExistsError(text);
    case ZBADVERSION:
      return absl::AbortedError(text);
    case ZNOAUTH:
    case ZAUTHFAILED:
      return absl::PermissionDeniedError(text);
    case ZNOTEMPTY:
      return absl::FailedPreconditionError(text);
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONEXPIRED:
    case ZSESSIONMOVED:
    case ZINVALIDSTATE:
    case ZCLOSING:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

// The library's own lines say what the session's states say, and much more.
void DropLine(const char* /*line*/) {}

}  // namespace

// One session of the library.
struct ZooKeeperSession::Handle {
  explicit Handle(std::shared_ptr<ChangeCount> to) : events(std::move(to)) {}
  ~Handle() {
    if (zk != nullptr) zookeeper_close(zk);
  }

  static void OnEvent(zhandle_t* /*zk*/, int type, int state,
                      const char* /*path*/, void* context) {
    auto* self = static_cast<Handle*>(context);
    if (type == ZOO_SESSION_EVENT) {
      std::lock_guard lock(self->mutex);
      self->connected = state == ZOO_CONNECTED_STATE;
      self->over =
          state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE;
      if (state == ZOO_AUTH_FAILED_STATE) self->refused = true;
    }
    self->changed.notify_all();
    self->events->Raise();
  }

  // Outlives the session for events that come late.
  const std::shared_ptr<ChangeCount> events;
  zhandle_t* zk = nullptr;
  std::mutex mutex;
  std::condition_variable changed;
  bool connected = false;
  bool over = false;     // expired: this handle will never connect again
  bool refused = false;  // the credentials are wrong
  const ACL_vector* acl = &ZOO_OPEN_ACL_UNSAFE;
};

absl::StatusOr<std::unique_ptr<ZooKeeperSession>> ZooKeeperSession::Open(
    ZooKeeperOptions options) {
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
  std::unique_ptr<ZooKeeperSession> session(
      new ZooKeeperSession(std::move(options)));
  RETURN_IF_ERROR(session->Connected().status());
  return session;
}

ZooKeeperSession::ZooKeeperSession(ZooKeeperOptions options)
    : options_(std::move(options)), events_(std::make_shared<ChangeCount>()) {}

ZooKeeperSession::~ZooKeeperSession() = default;

absl::StatusOr<std::shared_ptr<ZooKeeperSession::Handle>>
ZooKeeperSession::Connected() {
  std::shared_ptr<Handle> handle;
  std::shared_ptr<Handle> expired;  // closed outside the lock
  {
    std::lock_guard lock(mutex_);
    if (handle_ != nullptr) {
      std::lock_guard state(handle_->mutex);
      if (handle_->over) expired = handle_;
    }
    if (expired != nullptr) {
      LogWarning("the ZooKeeper session is over, another begins",
                 {{"servers", options_.servers}});
      handle_.reset();
    }
    if (handle_ == nullptr) {
      auto made = std::make_shared<Handle>(events_);
      made->zk =
          zookeeper_init2(options_.servers.c_str(), Handle::OnEvent,
                          static_cast<int>(options_.session_timeout.count()),
                          nullptr, made.get(), ZOO_NO_LOG_CLIENTENV, DropLine);
      if (made->zk == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(
            "ZooKeeper servers: '", options_.servers,
            "' is not understood; expected HOST:PORT[,HOST:PORT...][/PATH]"));
      }
      if (!options_.digest.empty()) {
        made->acl = &ZOO_CREATOR_ALL_ACL;
        zoo_add_auth(made->zk, "digest", options_.digest.data(),
                     static_cast<int>(options_.digest.size()), nullptr,
                     nullptr);
      }
      handle_ = std::move(made);
    }
    handle = handle_;
  }
  std::unique_lock lock(handle->mutex);
  handle->changed.wait_for(lock, options_.session_timeout,
                           [&] { return handle->connected || handle->over; });
  if (handle->connected) return handle;
  if (handle->refused) {
    return absl::PermissionDeniedError(
        "ZooKeeper refuses the credentials of the digest");
  }
  return absl::UnavailableError(absl::StrCat(
      "ZooKeeper does not answer: no connection to ", options_.servers));
}

absl::StatusOr<ZooKeeperNode> ZooKeeperSession::Get(const std::string& path,
                                                    bool watch) {
  ASSIGN_OR_RETURN(const auto handle, Connected());
  ZooKeeperNode node;
  node.data.resize(kFirstBufferBytes);
  while (true) {
    Stat stat{};
    int bytes = static_cast<int>(node.data.size());
    const int code = zoo_get(handle->zk, path.c_str(), watch ? 1 : 0,
                             node.data.data(), &bytes, &stat);
    RETURN_IF_ERROR(StatusOf(code, path));
    if (stat.dataLength > static_cast<int>(node.data.size())) {
      node.data.resize(static_cast<size_t>(stat.dataLength));
      continue;
    }
    node.data.resize(static_cast<size_t>(std::max(bytes, 0)));
    node.version = stat.version;
    return node;
  }
}

absl::StatusOr<bool> ZooKeeperSession::Exists(const std::string& path,
                                              bool watch) {
  ASSIGN_OR_RETURN(const auto handle, Connected());
  const int code = zoo_exists(handle->zk, path.c_str(), watch ? 1 : 0, nullptr);
  if (code == ZNONODE) return false;
  RETURN_IF_ERROR(StatusOf(code, path));
  return true;
}

std::vector<absl::StatusOr<ZooKeeperNode>> ZooKeeperSession::GetMany(
    std::span<const std::string> paths) {
  std::vector<absl::StatusOr<ZooKeeperNode>> results;
  results.reserve(paths.size());
  const auto handle = Connected();
  if (!handle.ok()) {
    results.assign(paths.size(), handle.status());
    return results;
  }
  struct Waiting {
    std::promise<absl::StatusOr<ZooKeeperNode>> done;
    const std::string* path;
  };
  const auto on_data = [](int code, const char* value, int bytes,
                          const Stat* stat, const void* data) {
    auto* waiting = static_cast<Waiting*>(const_cast<void*>(data));
    if (code != ZOK) {
      waiting->done.set_value(StatusOf(code, *waiting->path));
    } else {
      waiting->done.set_value(
          ZooKeeperNode{std::string(value == nullptr ? "" : value,
                                    static_cast<size_t>(std::max(bytes, 0))),
                        stat->version});
    }
  };
  for (size_t from = 0; from < paths.size(); from += kGetsAtOnce) {
    const size_t count = std::min(kGetsAtOnce, paths.size() - from);
    std::vector<Waiting> waiting(count);
    for (size_t i = 0; i < count; ++i) {
      waiting[i].path = &paths[from + i];
      const int code = zoo_aget((*handle)->zk, paths[from + i].c_str(), 0,
                                on_data, &waiting[i]);
      if (code != ZOK) {
        waiting[i].done.set_value(StatusOf(code, paths[from + i]));
      }
    }
    for (Waiting& each : waiting) {
      results.push_back(each.done.get_future().get());
    }
  }
  return results;
}

absl::StatusOr<std::vector<std::string>> ZooKeeperSession::Children(
    const std::string& path) {
  ASSIGN_OR_RETURN(const auto handle, Connected());
  String_vector found{};
  const int code = zoo_get_children(handle->zk, path.c_str(), 0, &found);
  RETURN_IF_ERROR(StatusOf(code, path));
  std::vector<std::string> names(found.data, found.data + found.count);
  deallocate_String_vector(&found);
  return names;
}

absl::Status ZooKeeperSession::Create(const std::string& path,
                                      std::string_view data) {
  return CreateNode(path, data, false);
}

absl::Status ZooKeeperSession::CreateEphemeral(const std::string& path,
                                               std::string_view data) {
  return CreateNode(path, data, true);
}

absl::Status ZooKeeperSession::CreateNode(const std::string& path,
                                          std::string_view data,
                                          bool ephemeral) {
  ASSIGN_OR_RETURN(const auto handle, Connected());
  return StatusOf(zoo_create(handle->zk, path.c_str(), data.data(),
                             static_cast<int>(data.size()), handle->acl,
                             ephemeral ? ZOO_EPHEMERAL : 0, nullptr, 0),
                  path);
}

absl::Status ZooKeeperSession::CreateFolders(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    absl::Status made = Create(path.substr(0, slash), "");
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  }
  return absl::OkStatus();
}

absl::Status ZooKeeperSession::Sync(const std::string& path) {
  ASSIGN_OR_RETURN(const auto handle, Connected());
  std::promise<int> done;
  const int code = zoo_async(
      handle->zk, path.c_str(),
      [](int result, const char* /*path*/, const void* data) {
        static_cast<std::promise<int>*>(const_cast<void*>(data))
            ->set_value(result);
      },
      &done);
  return StatusOf(code == ZOK ? done.get_future().get() : code, path);
}

absl::StatusOr<int32_t> ZooKeeperSession::Set(const std::string& path,
                                              std::string_view data,
                                              int32_t version) {
  ASSIGN_OR_RETURN(const auto handle, Connected());
  Stat stat{};
  const int code = zoo_set2(handle->zk, path.c_str(), data.data(),
                            static_cast<int>(data.size()), version, &stat);
  RETURN_IF_ERROR(StatusOf(code, path));
  return stat.version;
}

absl::Status ZooKeeperSession::Delete(const std::string& path,
                                      int32_t version) {
  ASSIGN_OR_RETURN(const auto handle, Connected());
  return StatusOf(zoo_delete(handle->zk, path.c_str(), version), path);
}

ZooKeeperMulti ZooKeeperSession::Multi(std::span<const ZooKeeperStep> steps) {
  const auto handle = Connected();
  if (!handle.ok()) return {handle.status()};
  std::vector<zoo_op_t> ops(steps.size());
  std::vector<zoo_op_result_t> results(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const ZooKeeperStep& step = steps[i];
    const int bytes = static_cast<int>(step.data.size());
    switch (step.kind) {
      case ZooKeeperStep::Kind::kCheck:
        zoo_check_op_init(&ops[i], step.path.c_str(), step.version);
        break;
      case ZooKeeperStep::Kind::kCreate:
        zoo_create_op_init(&ops[i], step.path.c_str(), step.data.data(), bytes,
                           (*handle)->acl, 0, nullptr, 0);
        break;
      case ZooKeeperStep::Kind::kSet:
        zoo_set_op_init(&ops[i], step.path.c_str(), step.data.data(), bytes,
                        step.version, nullptr);
        break;
      case ZooKeeperStep::Kind::kDelete:
        zoo_delete_op_init(&ops[i], step.path.c_str(), step.version);
        break;
    }
  }
  const int code = zoo_multi((*handle)->zk, static_cast<int>(ops.size()),
                             ops.data(), results.data());
  if (code == ZOK) return {};
  // The steps before the one that failed are "ok", those behind it are not
  // looked at.
  size_t failed = 0;
  while (failed + 1 < results.size() && results[failed].err == ZOK) ++failed;
  return {StatusOf(code, steps[failed].path), failed};
}

uint64_t ZooKeeperSession::changes() const { return events_->Get(); }

void ZooKeeperSession::WaitForChange(uint64_t seen,
                                     milliseconds timeout) const {
  events_->WaitAbove(seen, timeout);
}

void ZooKeeperSession::Wake() { events_->Raise(); }

}  // namespace kafed::metastore
