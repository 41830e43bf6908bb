// Hosts: import, removal, lists.
#include <algorithm>
#include <span>
#include <utility>

#include "absl/time/time.h"
#include "common/allocator.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/uuid.h"
#include "controller/rpc/admin_service.h"
#include "controller/rpc/status_conversion.h"
#include "federation/image/spec_fields.h"
#include "federation/plan/validate.h"

namespace kafed::controller {

using federation::Counted;
using federation::Draft;
using federation::Image;
using federation::Quote;
using federation::Table;

namespace {

// Hosts of one entry: compressed, far below the limit of an entry.
constexpr size_t kHostsPerEntry = 2'000;
constexpr size_t kMaxImportHosts = 4'000'000;

v1::HostStatus StatusOfHost(const Image& image, const std::string& id,
                            const federation::Host& row) {
  v1::HostStatus status;
  *status.mutable_host() = SpecOf(id, row);
  if (row.home.valid()) {
    if (const auto home = image.sub_cluster(row.home)) {
      status.set_home(home->name);
    }
  }
  for (const auto& [topic_id, topic] : image.Topics()) {
    if (topic.kind != v1::TOPIC_KIND_UNICAST) continue;
    const auto binding = image.binding(topic_id, id);
    if (!binding) continue;
    for (const auto& target : binding->targets) {
      v1::HostBinding* out = status.add_bindings();
      out->set_topic(topic.name);
      out->set_partition(target.partition.value());
    }
  }
  status.mutable_vpcs()->Assign(row.vpcs.begin(), row.vpcs.end());
  return status;
}

// One import: takes all hosts, then works on a worker and reports progress.
// Deletes itself when done.
class ImportReactor final
    : public grpc::ServerBidiReactor<v1::ImportHostsRequest,
                                     v1::ImportProgress> {
 public:
  ImportReactor(const RpcContext& context, grpc::CallbackServerContext* call)
      : context_(context), call_(call) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      if (const absl::Status taken = TakeHead(); !taken.ok()) {
        return Finish(ToGrpc(taken));
      }
      for (v1::HostSpec& host : *request_.mutable_hosts()) {
        hosts_.push_back(std::move(host));
      }
      if (hosts_.size() > kMaxImportHosts) {
        return Finish(ToGrpc(absl::InvalidArgumentError(
            "hosts: more than " + std::to_string(kMaxImportHosts) +
            " in one import; split the file")));
      }
      request_.Clear();
      return StartRead(&request_);
    }
    // The client has sent all, or a message that can't be decoded, which gRPC
    // does not tell apart: the total does.
    if (!context_.workers->RunBulk([this] { Import(); })) {
      Finish({grpc::StatusCode::RESOURCE_EXHAUSTED,
              "the node has too many calls waiting; try again later"});
    }
  }

  void OnWriteDone(bool ok) override {
    // A client that went away does not stop an import that has begun.
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    client_gone_ = client_gone_ || !ok;
  }
  void OnDone() override { delete this; }

 private:
  // What only the first message may say: a later one would change, say, a dry
  // run into an import.
  absl::Status TakeHead() {
    if (std::exchange(begun_, true)) {
      for (const auto& [field, given] :
           {std::pair("options", request_.has_options()),
            std::pair("total", request_.total() != 0)}) {
        if (!given) continue;
        return absl::InvalidArgumentError(
            std::string(field) +
            ": is given again; expected on the first message only");
      }
      return absl::OkStatus();
    }
    options_ = request_.options();
    announced_ = request_.total();
    return absl::OkStatus();
  }

  void Import() {
    const absl::Status status = ImportAll();
    // The allocator would keep what the messages of a fleet took.
    if (hosts_.size() > kHostsPerEntry) ReturnFreeMemory();
    const auto idle = [this] {
      mutex_.AssertReaderHeld();
      return !writing_;
    };
    bool taken = true;
    {
      absl::MutexLock lock(&mutex_);
      taken = mutex_.AwaitWithTimeout(absl::Condition(&idle),
                                      absl::FromChrono(kStalled));
    }
    if (!taken) call_->TryCancel();  // outside the lock: it calls back
    bool client_gone = false;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&idle));
      client_gone = client_gone_;
      progress_.set_done(hosts_.size());
      progress_.set_total(hosts_.size());
      *progress_.mutable_result() = result_;
      writing_ = true;  // no other write from now on
    }
    // Outside the lock: the reactor may be deleted at once.
    if (!status.ok() || client_gone) return Finish(ToGrpc(status));
    StartWriteAndFinish(&progress_, {}, grpc::Status::OK);
  }

  absl::Status ImportAll() {
    RETURN_IF_ERROR(CheckOptions(options_));
    if (hosts_.size() != announced_) {
      return absl::InvalidArgumentError(
          "total: " + std::to_string(announced_) + " hosts were announced, " +
          std::to_string(hosts_.size()) +
          " came before the stream ended, or a message that can't be decoded; "
          "nothing was added");
    }
    if (hosts_.empty()) {
      return absl::InvalidArgumentError("hosts: is empty; expected hosts");
    }
    fingerprint_ = Fingerprint(hosts_);
    const auto image = context_.replica->image();
    if (const auto former = image->Get<federation::CompletedRequest>(
            Table::kRequests, options_.request_id())) {
      RETURN_IF_ERROR(CheckSameRequest(former->fingerprint, fingerprint_));
      result_.ParseFromString(former->response);
      return absl::OkStatus();
    }
    const auto begun = image->Get<federation::Operation>(Table::kOperations,
                                                         options_.request_id());
    const bool resume = begun.has_value();
    if (resume) {
      RETURN_IF_ERROR(CheckSameRequest(begun->fingerprint, fingerprint_));
    }
    if (!resume) RETURN_IF_ERROR(federation::CheckImport(hosts_, *image));
    const size_t parts = (hosts_.size() + kHostsPerEntry - 1) / kHostsPerEntry;
    if (options_.dry_run()) {
      result_.set_summary(Counted(hosts_.size(), "host") +
                          " would be added in " + std::to_string(parts) +
                          (parts == 1 ? " entry" : " entries"));
      result_.set_dry_run(true);
      *result_.mutable_position() = PositionOf(*image);
      return absl::OkStatus();
    }
    for (size_t part = 0; part < parts; ++part) {
      const absl::Status added = AddPart(part, parts, resume);
      if (!added.ok()) {
        return Annotate(added, std::to_string(part * kHostsPerEntry) + " of " +
                                   std::to_string(hosts_.size()) +
                                   " hosts were added; to go on, run the "
                                   "import again with --request-id " +
                                   ToHex(options_.request_id()));
      }
      // What stands is not needed any more; a fleet is large as messages.
      const size_t end = std::min(hosts_.size(), (part + 1) * kHostsPerEntry);
      for (size_t i = part * kHostsPerEntry; i < end; ++i) {
        hosts_[i] = v1::HostSpec();
      }
      Report(end);
    }
    return absl::OkStatus();
  }

  absl::Status AddPart(size_t part, size_t parts, bool resume) {
    const size_t begin = part * kHostsPerEntry;
    const size_t count = std::min(kHostsPerEntry, hosts_.size() - begin);
    const std::span<const v1::HostSpec> span(&hosts_[begin], count);
    const bool last = part + 1 == parts;
    auto committed = context_.writer->Run(
        {.plan = [&](Draft* draft) -> absl::StatusOr<std::string> {
           RETURN_IF_ERROR(federation::PlanAddHosts(span, resume, draft));
           if (parts > 1) {
             v1::Record record;
             auto& progressed = *record.mutable_operation_progressed();
             progressed.set_operation_id(options_.request_id());
             progressed.set_name("host import");
             progressed.set_done(begin + count);
             progressed.set_total(hosts_.size());
             progressed.set_fingerprint(fingerprint_);
             draft->Add(std::move(record));
           }
           return federation::Answer(*draft,
                                     Counted(hosts_.size(), "host") + " added")
               .SerializeAsString();
         },
         .request_id = last ? options_.request_id() : "",
         .fingerprint = fingerprint_});
    if (committed.ok() && last) result_.ParseFromString(committed->response);
    return committed.status();
  }

  // Sends progress unless the last message is still under way.
  void Report(size_t done) {
    absl::MutexLock lock(&mutex_);
    if (writing_ || client_gone_ || done == hosts_.size()) return;
    progress_.set_done(done);
    progress_.set_total(hosts_.size());
    writing_ = true;
    StartWrite(&progress_);
  }

  const RpcContext& context_;
  grpc::CallbackServerContext* const call_;
  v1::ImportHostsRequest request_;
  bool begun_ = false;  // the first message is there
  v1::MutationOptions options_;
  std::vector<v1::HostSpec> hosts_;
  uint64_t announced_ = 0;
  uint64_t fingerprint_ = 0;
  v1::MutationResponse result_;
  absl::Mutex mutex_;
  v1::ImportProgress progress_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool client_gone_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::ImportHostsRequest, v1::ImportProgress>*
AdminService::ImportHosts(Call* call) {
  return new ImportReactor(context_, call);
}

AdminService::Unary* AdminService::RemoveHosts(
    Call* call, const v1::RemoveHostsRequest* request,
    v1::MutationResponse* response) {
  return Offload(call, [this, request, response] {
    return RemoveHostsInParts(*request, response);
  });
}

absl::Status AdminService::RemoveHostsInParts(
    const v1::RemoveHostsRequest& request, v1::MutationResponse* response) {
  RETURN_IF_ERROR(CheckOptions(request.options()));
  if (request.ids().empty() ||
      static_cast<size_t>(request.ids_size()) > kHostsPerEntry) {
    return absl::InvalidArgumentError(
        "ids: has " + std::to_string(request.ids_size()) + ", expected 1 to " +
        std::to_string(kHostsPerEntry));
  }
  const std::vector<std::string> ids(request.ids().begin(),
                                     request.ids().end());
  ASSIGN_OR_RETURN(
      const Committed committed,
      context_.writer->Run(
          {.plan = [&](Draft* draft) -> absl::StatusOr<std::string> {
             RETURN_IF_ERROR(
                 federation::PlanRemoveHosts(ids, request.cascade(), draft));
             return federation::Answer(*draft,
                                       Counted(ids.size(), "host") + " removed")
                 .SerializeAsString();
           },
           .request_id = request.options().request_id(),
           .fingerprint = Fingerprint(request),
           .dry_run = request.options().dry_run()}));
  response->ParseFromString(committed.response);
  if (request.options().dry_run()) MarkDryRun(committed, response);
  return absl::OkStatus();
}

AdminService::Unary* AdminService::ListHosts(
    Call* call, const v1::ListHostsRequest* request,
    v1::ListHostsResponse* response) {
  const auto page = PageOf(request->page_token(), request->page_size());
  if (!page.ok()) return Answer(call, page.status());
  const auto image = context_.replica->image();
  const auto home = image->FindSubCluster(request->home());
  if (!request->home().empty() && !home.valid()) {
    return Answer(call, absl::NotFoundError("home: no sub-cluster is called " +
                                            Quote(request->home())));
  }
  if (!request->region().empty()) {
    const absl::Status known =
        federation::CheckRegionKnown(request->region(), *image);
    if (!known.ok()) return Answer(call, known);
  }
  const auto next =
      image->table(Table::kHosts)
          .Scan(page->cursor, page->size,
                [&](std::string_view key, std::string_view value) {
                  const auto row = DecodeRow<federation::Host>(value);
                  if (!request->region().empty() &&
                      row.region != request->region()) {
                    return;
                  }
                  if (home.valid() && row.home != home) return;
                  *response->add_hosts() =
                      StatusOfHost(*image, std::string(key), row);
                });
  response->set_next_page_token(TokenOf(next));
  response->set_total(image->table(Table::kHosts).size());
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

AdminService::Unary* AdminService::DescribeHost(
    Call* call, const v1::DescribeHostRequest* request,
    v1::DescribeHostResponse* response) {
  const auto image = context_.replica->image();
  const auto row = image->host(request->id());
  if (!row) {
    return Answer(call, absl::NotFoundError("id: no host is called " +
                                            Quote(request->id())));
  }
  *response->mutable_host() = StatusOfHost(*image, request->id(), *row);
  *response->mutable_position() = PositionOf(*image);
  return Answer(call, absl::OkStatus());
}

}  // namespace kafed::controller
