#include "cli/connection.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <utility>

#include "cli/text.h"
#include "common/status_macros.h"

namespace kafed::cli {
namespace {

constexpr int kMaxMessageBytes = 256 << 20;
// A server of the list that does not answer must not eat the whole timeout;
// when all were tried, they are asked in turn, this long each.
constexpr milliseconds kConnectTime{3'000};
constexpr milliseconds kTurn{200};
constexpr milliseconds kShortest{1};

std::chrono::system_clock::time_point After(milliseconds time) {
  return std::chrono::system_clock::now() + time;
}

milliseconds Left(std::chrono::steady_clock::time_point end) {
  const auto left = end - std::chrono::steady_clock::now();
  return std::max(std::chrono::duration_cast<milliseconds>(left), kShortest);
}

// Another node may do better.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

// Says which server could not be asked. What a node itself refuses begins with
// the field, and stays as it is.
absl::Status Named(const absl::Status& status, const std::string& address) {
  const bool of_the_way = absl::IsUnavailable(status) ||
                          absl::IsUnimplemented(status) ||
                          absl::IsCancelled(status);
  return of_the_way ? Annotate(status, address) : status;
}

grpc::ByteBuffer Serialize(const Message& message) {
  const std::string bytes = message.SerializeAsString();
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

bool Parse(const grpc::ByteBuffer& buffer, Message* message) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return false;
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return message->ParseFromString(bytes);
}

// The next event of a queue that has one operation under way.
bool Next(grpc::CompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue->Next(&tag, &ok) && ok;
}

// A queue must be empty before it is destroyed.
void Drain(grpc::CompletionQueue* queue) {
  queue->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) {
  }
}

class GenericStream final : public CallStream {
 public:
  GenericStream(grpc::GenericStub* stub, const std::string& address,
                const std::string& method, milliseconds step,
                std::function<void()> unavailable)
      : address_(address), step_(step), unavailable_(std::move(unavailable)) {
    call_ = stub->PrepareCall(&context_, method, &queue_);
    call_->StartCall(this);
    Await();
  }
  ~GenericStream() override {
    if (!finished_) {
      context_.TryCancel();
      (void)Finish();
    }
    Drain(&queue_);
  }

  bool Write(const Message& request) override {
    call_->Write(Serialize(request), this);
    return Await();
  }
  bool WritesDone() override {
    call_->WritesDone(this);
    return Await();
  }
  bool Read(Message* response) override {
    grpc::ByteBuffer buffer;
    call_->Read(&buffer, this);
    return Await() && Parse(buffer, response);
  }
  absl::Status Finish() override {
    finished_ = true;
    grpc::Status status;
    call_->Finish(&status, this);
    Await();
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) unavailable_();
    if (!late_) return Named(FromGrpc(status), address_);
    return absl::DeadlineExceededError("no progress within " +
                                       FormatDuration(step_));
  }

 private:
  bool Await() {
    if (step_.count() > 0) {
      void* tag = nullptr;
      bool ok = false;
      const auto next = queue_.AsyncNext(&tag, &ok, After(step_));
      if (next == grpc::CompletionQueue::GOT_EVENT) return ok;
      late_ = true;
      context_.TryCancel();
    }
    return Next(&queue_) && !late_;
  }

  const std::string address_;
  const milliseconds step_;  // 0: not limited
  const std::function<void()> unavailable_;
  bool late_ = false;
  bool finished_ = false;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

}  // namespace

struct Connection::Node {
  explicit Node(std::string name) : address(std::move(name)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    channel = grpc::CreateCustomChannel(
        address, grpc::InsecureChannelCredentials(), arguments);
    stub = std::make_unique<grpc::GenericStub>(channel);
  }

  // kSilent: somebody is there, but nothing came within `time`.
  enum class Reached { kYes, kRefused, kSilent };
  Reached Connect(milliseconds time) const {
    const auto end = After(time);
    auto state = channel->GetState(true);
    while (state != GRPC_CHANNEL_READY) {
      if (state == GRPC_CHANNEL_TRANSIENT_FAILURE ||
          state == GRPC_CHANNEL_SHUTDOWN) {
        return Reached::kRefused;
      }
      if (!channel->WaitForStateChange(state, end)) return Reached::kSilent;
      state = channel->GetState(true);
    }
    return Reached::kYes;
  }

  absl::Status Call(const std::string& method, const Message& request,
                    milliseconds left, Message* response) const {
    grpc::ClientContext context;
    context.set_deadline(After(left));
    grpc::CompletionQueue queue;
    const auto call =
        stub->PrepareUnaryCall(&context, method, Serialize(request), &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    Next(&queue);
    Drain(&queue);
    RETURN_IF_ERROR(Named(FromGrpc(status), address));
    if (Parse(answer, response)) return absl::OkStatus();
    return absl::InternalError("the answer of " + address + " to " + method +
                               " is not readable; is its version another?");
  }

  const std::string address;
  std::string trouble;  // what was wrong in the present call; empty: nothing
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<grpc::GenericStub> stub;
};

std::string MethodOf(const Message& request) {
  const auto* type = request.GetDescriptor();
  for (int i = 0; i < type->file()->service_count(); ++i) {
    const auto* service = type->file()->service(i);
    for (int j = 0; j < service->method_count(); ++j) {
      const auto* method = service->method(j);
      if (method->input_type() != type) continue;
      return "/" + service->full_name() + "/" + method->name();
    }
  }
  return "";
}

Connection::Connection(std::vector<std::string> servers, RetryPolicy policy)
    : policy_(std::move(policy)) {
  for (std::string& server : servers) {
    nodes_.push_back(std::make_unique<Node>(std::move(server)));
  }
}

Connection::~Connection() = default;

absl::StatusOr<Connection::Node*> Connection::Reach(milliseconds left) {
  const auto end = std::chrono::steady_clock::now() + left;
  std::vector<std::string> tried;
  bool silent = true;
  for (milliseconds time = kConnectTime; silent; time = kTurn) {
    silent = false;
    for (auto at = nodes_.begin(); at != nodes_.end(); ++at) {
      Node* node = at->get();
      const auto reached =
          node->Connect(std::clamp(Left(end), kShortest, time));
      if (reached == Node::Reached::kYes) {
        std::rotate(nodes_.begin(), at, nodes_.end());
        return node;
      }
      node->trouble = node->address + " cannot be reached";
      silent = silent || reached == Node::Reached::kSilent;
      if (tried.size() < nodes_.size()) tried.push_back(node->address);
    }
    if (std::chrono::steady_clock::now() >= end) break;
  }
  // Silent to the end: the time is over, and trying again would not help.
  return absl::UnavailableError(
      "no node answers at " + Join(tried, ", ") +
      (silent ? " within " + FormatDuration(policy_.timeout) : "") +
      "; is kafed running there? --server or KAFED_SERVER name others");
}

void Connection::Defer(const Node* node) {
  const auto at =
      std::find_if(nodes_.begin(), nodes_.end(),
                   [node](const auto& each) { return each.get() == node; });
  std::rotate(at, std::next(at), nodes_.end());
}

absl::Status Connection::CallEach(const std::string& method,
                                  const Message& request, milliseconds left,
                                  Message* response) {
  const auto end = std::chrono::steady_clock::now() + left;
  std::set<const Node*> asked;
  absl::Status status;
  while (true) {
    const auto reached = Reach(Left(end));
    if (!reached.ok() && asked.empty()) return reached.status();
    if (!reached.ok() || !asked.insert(*reached).second) break;
    Node* node = *reached;
    status = node->Call(method, request, Left(end), response);
    if (!MayPass(status)) return status;
    node->trouble = absl::IsUnavailable(status)
                        ? std::string(status.message())
                        : node->address + ": no answer in time";
    if (Left(end) <= kShortest) break;
    Defer(node);
  }
  return absl::IsUnavailable(status) ? absl::UnavailableError(Troubles())
                                     : status;
}

std::string Connection::Troubles() const {
  std::vector<std::string> all;
  all.reserve(nodes_.size());
  for (const auto& node : nodes_) {
    if (!node->trouble.empty()) all.push_back(node->trouble);
  }
  return Join(all, "; ");
}

absl::Status Connection::Call(const Message& request, Message* response) {
  const std::string method = MethodOf(request);
  const std::unique_ptr<Message> question = seen_.Asking(request);
  for (const auto& node : nodes_) node->trouble.clear();
  absl::Status status = Retry(policy_, [&](milliseconds left) {
    return CallEach(method, *question, left, response);
  });
  if (status.ok()) seen_.Learn(*response);
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError("no answer within " +
                                       FormatDuration(policy_.timeout) +
                                       "; --timeout gives more time");
  }
  return status;
}

absl::StatusOr<std::unique_ptr<CallStream>> Connection::Open(
    const Message& prototype, StepTime step) {
  ASSIGN_OR_RETURN(const Node* node, Reach(policy_.timeout));
  return std::unique_ptr<CallStream>(std::make_unique<GenericStream>(
      node->stub.get(), node->address, MethodOf(prototype),
      step == StepTime::kTimeout ? policy_.timeout : milliseconds(0),
      [this, node] { Defer(node); }));
}

}  // namespace kafed::cli
