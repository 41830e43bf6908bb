#include "controller/rpc/host_import.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/allocator.h"
#include "common/status_macros.h"
#include "common/uuid.h"
#include "controller/rpc/admin_service.h"
#include "controller/rpc/status_conversion.h"
#include "controller/write/newest_image.h"
#include "federation/plan/planners.h"
#include "federation/plan/validate.h"

namespace kafed::controller {

using federation::Counted;
using federation::Draft;
using federation::Table;

namespace {

// Hosts of one command, and what they may take in it: the writer joins commands
// to entries. Few, so that no entry meets its limit, however long their labels.
constexpr size_t kHostsPerPart = 2'000;
constexpr size_t kPartBytes = 128 * 1024;
// Records of a host beside its own text: bindings and their reasons.
constexpr size_t kRecordBytes = 64;
// Parts under way: some in the entry being appended, some in the next.
constexpr size_t kPartsUnderWay = 4;
constexpr size_t kMaxImportHosts = 4'000'000;

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
    if (hosts_.size() > kHostsPerPart) ReturnFreeMemory();
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
    // A refusal must not rest on what another node has changed since.
    ASSIGN_OR_RETURN(auto image,
                     NewestImage(context_.log, *context_.replica, kReadWait));
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
    if (options_.dry_run()) {
      result_.set_summary(Counted(hosts_.size(), "host") + " would be added");
      result_.set_dry_run(true);
      *result_.mutable_position() = PositionOf(*image);
      return absl::OkStatus();
    }
    image.reset();  // held, it would keep all that the import replaces
    return AddAll(resume);
  }

  // Some hosts of the import, as one command.
  struct Part {
    size_t begin;
    size_t end;
    absl::StatusOr<Committed> committed;
    absl::Notification finished;
  };

  // Several parts are under way; a part stands only if all before it do.
  absl::Status AddAll(bool resume) {
    std::deque<std::unique_ptr<Part>> under_way;
    absl::Status first_failure;
    size_t next = 0;
    while (!under_way.empty() || next < hosts_.size()) {
      if (next < hosts_.size() && first_failure.ok() &&
          under_way.size() < kPartsUnderWay) {
        under_way.push_back(std::make_unique<Part>());
        Part* const part = under_way.back().get();
        part->begin = next;
        part->end = next = EndOfPart(next);
        Add(part, resume);
        continue;
      }
      if (under_way.empty()) break;
      Part& part = *under_way.front();
      part.finished.WaitForNotification();
      if (!part.committed.ok() && first_failure.ok()) {
        first_failure = Annotate(
            part.committed.status(),
            std::to_string(part.begin) + " of " +
                std::to_string(hosts_.size()) +
                " hosts were added; to go on, run the import again with "
                "--request-id " +
                ToHex(options_.request_id()));
      }
      if (part.committed.ok() && part.end == hosts_.size()) {
        result_.ParseFromString(part.committed->response);
      }
      // What stands is not needed any more; a fleet is large as messages.
      for (size_t i = part.begin; i < part.end; ++i) hosts_[i] = v1::HostSpec();
      if (first_failure.ok()) Report(part.end);
      under_way.pop_front();
    }
    return first_failure;
  }

  size_t EndOfPart(size_t begin) const {
    const size_t limit = std::min(hosts_.size(), begin + kHostsPerPart);
    size_t bytes = 0;
    size_t end = begin;
    while (end < limit && bytes < kPartBytes) {
      bytes +=
          hosts_[end].ByteSizeLong() + hosts_[end].id().size() + kRecordBytes;
      ++end;
    }
    return end;
  }

  void Add(Part* part, bool resume) {
    const bool whole = part->begin == 0 && part->end == hosts_.size();
    const bool last = part->end == hosts_.size();
    context_.writer->Submit(
        {.plan = [this, part, resume,
                  whole](Draft* draft) -> absl::StatusOr<std::string> {
           if (part->begin > 0) RETURN_IF_ERROR(CheckBefore(*part, *draft));
           RETURN_IF_ERROR(federation::PlanAddHosts(
               {&hosts_[part->begin], part->end - part->begin}, resume, draft));
           if (!whole) AddProgress(part->end, draft);
           return federation::Answer(*draft,
                                     Counted(hosts_.size(), "host") + " added")
               .SerializeAsString();
         },
         .request_id = last ? options_.request_id() : "",
         .fingerprint = fingerprint_,
         .done =
             [part](absl::StatusOr<Committed> committed) {
               part->committed = std::move(committed);
               part->finished.Notify();
             }});
  }

  absl::Status CheckBefore(const Part& part, const Draft& draft) const {
    const auto operation = draft.image().Get<federation::Operation>(
        Table::kOperations, options_.request_id());
    if (operation && operation->done == part.begin) return absl::OkStatus();
    return absl::AbortedError("the hosts before these were not added");
  }

  void AddProgress(size_t done, Draft* draft) const {
    v1::Record record;
    auto& progressed = *record.mutable_operation_progressed();
    progressed.set_operation_id(options_.request_id());
    progressed.set_name("host import");
    progressed.set_done(done);
    progressed.set_total(hosts_.size());
    progressed.set_fingerprint(fingerprint_);
    draft->Add(std::move(record));
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
NewHostImport(const RpcContext& context, grpc::CallbackServerContext* call) {
  return new ImportReactor(context, call);
}

}  // namespace kafed::controller
