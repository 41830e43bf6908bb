#include "metastore/coord/etcd_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "metastore/coord/etcd_servers.h"

namespace kafed::metastore {
namespace {

using etcdserverpb::Compare;
using Kind = EtcdServers::Kind;
using std::chrono::steady_clock;

// The time that the end of a session spends on giving up its lease.
constexpr milliseconds kRevokeTime{1'000};
// Renewals within the time of a lease.
constexpr int kRenewals = 3;

void Fill(const EtcdRange& range, etcdserverpb::RangeRequest* request) {
  request->set_key(range.from);
  request->set_range_end(range.to);
  request->set_limit(range.limit);
}

EtcdFound FoundOf(etcdserverpb::RangeResponse response) {
  EtcdFound found;
  found.count = response.count();
  found.pairs.reserve(static_cast<size_t>(response.kvs_size()));
  for (etcdserverpb::KeyValue& pair : *response.mutable_kvs()) {
    found.pairs.push_back({std::move(*pair.mutable_key()),
                           std::move(*pair.mutable_value()),
                           pair.mod_revision(), pair.lease()});
  }
  return found;
}

void Fill(const EtcdCheck& check, Compare* compare) {
  compare->set_key(check.key);
  compare->set_target(check.kind == EtcdCheck::Kind::kLease ? Compare::LEASE
                                                            : Compare::MOD);
  switch (check.kind) {
    case EtcdCheck::Kind::kAbsent:
      compare->set_mod_revision(0);
      break;
    case EtcdCheck::Kind::kPresent:
      compare->set_result(Compare::GREATER);
      compare->set_mod_revision(0);
      break;
    case EtcdCheck::Kind::kRevision:
      compare->set_mod_revision(check.number);
      break;
    case EtcdCheck::Kind::kLease:
      compare->set_lease(check.number);
      break;
  }
}

void Fill(const EtcdWrite& write, etcdserverpb::RequestOp* request) {
  switch (write.kind) {
    case EtcdWrite::Kind::kPut: {
      auto* put = request->mutable_request_put();
      put->set_key(write.key);
      put->set_value(write.value);
      put->set_lease(write.lease);
      break;
    }
    case EtcdWrite::Kind::kDelete: {
      auto* deletes = request->mutable_request_delete_range();
      deletes->set_key(write.key);
      deletes->set_range_end(write.value);
      break;
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdSession>> EtcdSession::Open(
    EtcdOptions options) {
  if (options.lease_ttl < milliseconds(1'000)) {
    return absl::InvalidArgumentError(
        absl::StrCat("etcd lease_ttl: ", options.lease_ttl.count(),
                     " ms, expected at least 1000"));
  }
  ASSIGN_OR_RETURN(auto servers, EtcdServers::Make(options));
  std::unique_ptr<EtcdSession> session(
      new EtcdSession(std::move(options), std::move(servers)));
  // Also shows that the user is let in, though perhaps not to this key.
  const absl::Status seen = session->Find({.from = "/"}).status();
  if (!absl::IsPermissionDenied(seen) ||
      !absl::StrContains(seen.message(), "permission denied")) {
    RETURN_IF_ERROR(seen);
  }
  session->keeper_ = std::thread([self = session.get()] { self->KeepAlive(); });
  return session;
}

EtcdSession::EtcdSession(EtcdOptions options,
                         std::unique_ptr<EtcdServers> servers)
    : options_(std::move(options)), servers_(std::move(servers)) {}

EtcdSession::~EtcdSession() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (keeper_.joinable()) keeper_.join();
  if (lease_ == 0) return;
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease_);
  const absl::Status revoked = servers_->Call(
      Kind::kRead, kRevokeTime,
      [&](EtcdServers::Server& server, grpc::ClientContext* context) {
        etcdserverpb::LeaseRevokeResponse response;
        return server.lease->LeaseRevoke(context, request, &response);
      });
  if (!revoked.ok() && !absl::IsNotFound(revoked)) {
    LogWarning("a lease in etcd is left to run out", {{"why", revoked}});
  }
}

absl::StatusOr<EtcdPair> EtcdSession::Get(const std::string& key) {
  ASSIGN_OR_RETURN(EtcdFound found, Find({.from = key}));
  if (found.pairs.empty()) {
    return absl::NotFoundError(absl::StrCat("etcd: there is no key ", key));
  }
  return std::move(found.pairs[0]);
}

absl::StatusOr<EtcdFound> EtcdSession::Find(const EtcdRange& range) {
  etcdserverpb::RangeRequest request;
  Fill(range, &request);
  etcdserverpb::RangeResponse response;
  RETURN_IF_ERROR(servers_->Call(
      Kind::kRead, options_.timeout,
      [&](EtcdServers::Server& server, grpc::ClientContext* context) {
        return server.kv->Range(context, request, &response);
      }));
  return FoundOf(std::move(response));
}

absl::StatusOr<std::vector<EtcdFound>> EtcdSession::FindAll(
    std::span<const EtcdRange> ranges) {
  etcdserverpb::TxnRequest request;
  for (const EtcdRange& range : ranges) {
    Fill(range, request.add_success()->mutable_request_range());
  }
  etcdserverpb::TxnResponse response;
  RETURN_IF_ERROR(servers_->Call(
      Kind::kRead, options_.timeout,
      [&](EtcdServers::Server& server, grpc::ClientContext* context) {
        return server.kv->Txn(context, request, &response);
      }));
  if (response.responses_size() != request.success_size()) {
    return absl::InternalError(
        absl::StrCat("etcd: ", response.responses_size(), " answers to ",
                     request.success_size(), " questions of one transaction"));
  }
  std::vector<EtcdFound> found;
  found.reserve(ranges.size());
  for (etcdserverpb::ResponseOp& each : *response.mutable_responses()) {
    found.push_back(FoundOf(std::move(*each.mutable_response_range())));
  }
  return found;
}

absl::StatusOr<int64_t> EtcdSession::Commit(std::span<const EtcdCheck> checks,
                                            std::span<const EtcdWrite> writes) {
  etcdserverpb::TxnRequest request;
  for (const EtcdCheck& check : checks) Fill(check, request.add_compare());
  for (const EtcdWrite& write : writes) Fill(write, request.add_success());
  etcdserverpb::TxnResponse response;
  RETURN_IF_ERROR(servers_->Call(
      Kind::kWrite, options_.timeout,
      [&](EtcdServers::Server& server, grpc::ClientContext* context) {
        return server.kv->Txn(context, request, &response);
      }));
  if (response.succeeded()) return response.header().revision();
  return absl::AbortedError(absl::StrCat(
      "etcd: what was expected of ", checks.empty() ? "nothing" : checks[0].key,
      checks.size() > 1 ? " or other keys" : "", " does not hold"));
}

int64_t EtcdSession::KeptLease() const {
  std::lock_guard lock(mutex_);
  return lease_;
}

void EtcdSession::ForgetLease(int64_t lease) {
  std::lock_guard lock(mutex_);
  if (lease_ == lease) lease_ = 0;
}

absl::StatusOr<int64_t> EtcdSession::Lease() {
  std::lock_guard granting(granting_);
  if (const int64_t kept = KeptLease(); kept != 0) return kept;
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl((options_.lease_ttl.count() + 999) / 1'000);
  etcdserverpb::LeaseGrantResponse response;
  const Time asked = steady_clock::now();
  // Asked again after a lost reply: a lease that nobody knows runs out.
  RETURN_IF_ERROR(servers_->Call(
      Kind::kRead, options_.timeout,
      [&](EtcdServers::Server& server, grpc::ClientContext* context) {
        return server.lease->LeaseGrant(context, request, &response);
      }));
  if (!response.error().empty() || response.id() == 0) {
    return absl::InternalError(
        absl::StrCat("etcd has granted no lease: ", response.error()));
  }
  {
    std::lock_guard lock(mutex_);
    lease_ = response.id();
    lease_end_ = asked + std::chrono::seconds(response.ttl());
  }
  wake_.notify_all();
  return response.id();
}

absl::StatusOr<milliseconds> EtcdSession::Renew(int64_t lease) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseKeepAliveResponse response;
  RETURN_IF_ERROR(servers_->Call(
      Kind::kRead, options_.lease_ttl / kRenewals,
      [&](EtcdServers::Server& server, grpc::ClientContext* context) {
        auto stream = server.lease->LeaseKeepAlive(context);
        stream->Write(request);
        stream->WritesDone();
        const bool answered = stream->Read(&response);
        grpc::Status status = stream->Finish();
        if (answered || !status.ok()) return status;
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "no answer");
      }));
  return std::max(milliseconds(0),
                  milliseconds(std::chrono::seconds(response.ttl())));
}

void EtcdSession::KeepAlive() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (lease_ == 0) {
      wake_.wait(lock, [&] { return stopping_ || lease_ != 0; });
      // A lease that is new needs no renewal yet.
      wake_.wait_for(lock, options_.lease_ttl / kRenewals,
                     [&] { return stopping_ || lease_ == 0; });
      continue;
    }
    const int64_t lease = lease_;
    const Time asked = steady_clock::now();
    lock.unlock();
    const absl::StatusOr<milliseconds> left = Renew(lease);
    lock.lock();
    if (lease_ != lease) continue;
    if (left.ok()) lease_end_ = asked + *left;
    const bool over =
        absl::IsNotFound(left.status()) || steady_clock::now() >= lease_end_;
    if (over) {
      lease_ = 0;
      LogWarning("the lease in etcd is over, the next one is another",
                 {{"servers", options_.servers}});
      continue;
    }
    // After a failure the call has spent some of the time.
    const milliseconds pause =
        options_.lease_ttl / kRenewals / (left.ok() ? 1 : 4);
    wake_.wait_for(lock, pause, [&] { return stopping_ || lease_ != lease; });
  }
}

}  // namespace kafed::metastore
