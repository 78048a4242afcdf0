/* Open loop: requests arrive when a seeded Poisson process says so, whether or not the server keeps up, and
 * each is timed from the moment at which it should have left. A request for which no connection is free waits
 * in line, and that wait counts: nothing is omitted while the server stalls.
 *
 *   pace PORT RATE SECONDS CONNECTIONS SEED REQUEST_FILE      (to 127.0.0.1 only; prints one line of JSON)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 65536, TAIL_BYTES = 5, GRACE_S = 5 };
static const int64_t SECOND_NS = 1000000000;

struct connection {
    int socket;
    bool busy;
    int64_t due_ns;   /* when its request should have left */
    size_t sent;
    char head[HEAD_BYTES + 1];
    size_t head_bytes;
    bool in_body, chunked, closing, refused;
    int64_t body_left;
    char tail[TAIL_BYTES]; /* the last bytes of a chunked body */
};

static struct sockaddr_in address;
static int events;
static char *request;
static size_t request_bytes;
static struct connection *connections, **idle;
static size_t idle_count, idle_first, connection_count;
static int64_t *waiting, *took_ns, *late_ns;
static size_t waiting_first, waiting_end, took_count, late_count, capacity, errors, in_flight;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("pace: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void *need(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) fail("no memory for %zu times %zu bytes", count, size);
    return memory;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void read_request(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail("cannot read %s", path);
    request_bytes = (size_t)ftell(file);
    rewind(file);
    request = need(request_bytes + 1, 1);
    if (fread(request, 1, request_bytes, file) != request_bytes) fail("cannot read %s", path);
    fclose(file);
}

static void release(struct connection *c) {
    c->busy = false;
    idle[(idle_first + idle_count++) % connection_count] = c;
}

static void open_connection(struct connection *c) {
    int one = 1;
    c->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&address, sizeof address))
        fail("cannot connect to port %d: %s", ntohs(address.sin_port), strerror(errno));
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->socket, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(events, EPOLL_CTL_ADD, c->socket, &event);
}

static void finish(struct connection *c, bool good) {
    took_ns[took_count++] = now_ns() - c->due_ns;
    errors += !good;
    in_flight--;
    release(c);
}

static void renew(struct connection *c) {
    close(c->socket);
    open_connection(c);
    if (c->busy) finish(c, false);
}

static void push(struct connection *c) {
    while (c->sent < request_bytes) {
        ssize_t count = write(c->socket, request + c->sent, request_bytes - c->sent);
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) {
            renew(c);
            return;
        }
        c->sent += (size_t)count;
    }
    struct epoll_event event = {.events = EPOLLIN | (c->sent < request_bytes ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(events, EPOLL_CTL_MOD, c->socket, &event);
}

static void begin(int64_t due_ns) {
    struct connection *c = idle[idle_first];
    idle_first = (idle_first + 1) % connection_count;
    idle_count--;
    c->busy = true;
    c->due_ns = due_ns;
    c->sent = c->head_bytes = 0;
    c->in_body = c->chunked = c->closing = c->refused = false;
    memset(c->tail, 0, TAIL_BYTES);
    in_flight++;
    push(c);
}

static void read_head(struct connection *c) {
    c->refused = strncmp(c->head, "HTTP/1.", 7) != 0 || c->head[9] != '2';
    c->closing = c->head[7] == '0' || strcasestr(c->head, "\r\nconnection: close");
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->chunked = strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL;
    c->body_left = length ? atoll(length + 17) : 0;
    c->in_body = true;
}

/* Our bodies are JSON and floats: five bytes that look like the last chunk are the last chunk. */
static bool last_chunk(struct connection *c, const char *data, size_t count) {
    size_t kept = count < TAIL_BYTES ? TAIL_BYTES - count : 0;
    memmove(c->tail, c->tail + TAIL_BYTES - kept, kept);
    memcpy(c->tail + kept, data + count - (TAIL_BYTES - kept), TAIL_BYTES - kept);
    return memcmp(c->tail, "0\r\n\r\n", TAIL_BYTES) == 0;
}

static bool take_body(struct connection *c, const char *data, size_t count) {
    if (c->chunked) return count && last_chunk(c, data, count);
    c->body_left -= (int64_t)count;
    return c->body_left <= 0;
}

/* Whether the answer is complete. */
static bool take(struct connection *c, const char *data, size_t count) {
    if (c->in_body) return take_body(c, data, count);
    size_t before = c->head_bytes;
    size_t room = HEAD_BYTES - before, kept = count < room ? count : room;
    memcpy(c->head + before, data, kept);
    c->head_bytes += kept;
    c->head[c->head_bytes] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) {
        if (kept < count || c->head_bytes == HEAD_BYTES) fail("the head of an answer is too long");
        return false;
    }
    size_t head = (size_t)(end + 4 - c->head);
    end[2] = 0;
    read_head(c);
    return take_body(c, data + (head - before), count - (head - before));
}

static void pull(struct connection *c) {
    static char data[1 << 18];
    ssize_t count = read(c->socket, data, sizeof data);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0)
        renew(c);
    else if (c->busy && take(c, data, (size_t)count)) {
        finish(c, !c->refused);
        if (c->closing) renew(c);
    }
}

static void wait_until(int64_t when_ns) {
    struct epoll_event found[256];
    int64_t left_ns = when_ns - now_ns();
    struct timespec left = {.tv_sec = 0, .tv_nsec = 0};
    if (left_ns > 0) left = (struct timespec){left_ns / SECOND_NS, left_ns % SECOND_NS};
    int count = epoll_pwait2(events, found, 256, &left, NULL);
    for (int i = 0; i < count; i++) {
        struct connection *c = found[i].data.ptr;
        if (found[i].events & EPOLLOUT) push(c);
        if (found[i].events & ~(uint32_t)EPOLLOUT) pull(c);
    }
}

static double gap_ns(double rate) { return -log(1.0 - drand48()) / rate * (double)SECOND_NS; }

static void serve_waiting(int64_t now, bool on_time) {
    while (idle_count && waiting_first < waiting_end) {
        int64_t due_ns = waiting[waiting_first++];
        if (on_time) late_ns[late_count++] = now - due_ns;
        begin(due_ns);
    }
}

static void play(double rate, double seconds) {
    int64_t start_ns = now_ns(), stop_ns = start_ns + (int64_t)(seconds * (double)SECOND_NS);
    double next_ns = (double)start_ns + gap_ns(rate);
    while (next_ns < (double)stop_ns) {
        int64_t now = now_ns();
        bool on_time = idle_count && waiting_first == waiting_end;
        for (; next_ns <= (double)now && next_ns < (double)stop_ns; next_ns += gap_ns(rate)) {
            if (waiting_end == capacity) fail("more requests than foreseen");
            waiting[waiting_end++] = (int64_t)next_ns;
        }
        serve_waiting(now, on_time);
        wait_until((int64_t)next_ns < stop_ns ? (int64_t)next_ns : stop_ns);
        serve_waiting(now_ns(), false);
    }
    int64_t end_ns = stop_ns + GRACE_S * SECOND_NS;
    while ((in_flight || waiting_first < waiting_end) && now_ns() < end_ns) {
        serve_waiting(now_ns(), false);
        wait_until(end_ns);
        serve_waiting(now_ns(), false);
    }
}

/* Who was never answered has waited until now, at least. */
static void give_up_on_the_rest(void) {
    int64_t now = now_ns();
    for (size_t i = 0; i < connection_count; i++)
        if (connections[i].busy) took_ns[took_count++] = now - connections[i].due_ns, errors++;
    for (; waiting_first < waiting_end; waiting_first++)
        took_ns[took_count++] = now - waiting[waiting_first], errors++;
}

static int compare(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double share_us(const int64_t *sorted, size_t count, double share) {
    return count ? (double)sorted[(size_t)((double)(count - 1) * share)] / 1000.0 : 0.0;
}

int main(int count, char **words) {
    if (count != 7) fail("usage: pace PORT RATE SECONDS CONNECTIONS SEED REQUEST_FILE");
    double rate = atof(words[2]), seconds = atof(words[3]);
    connection_count = (size_t)atol(words[4]);
    if (rate <= 0 || seconds <= 0 || !connection_count) fail("rate, seconds and connections are positive");
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    srand48(atol(words[5]));
    read_request(words[6]);
    prctl(PR_SET_TIMERSLACK, 1UL);
    capacity = (size_t)(rate * seconds * 1.5) + 1000;
    waiting = need(capacity, sizeof *waiting);
    took_ns = need(capacity, sizeof *took_ns);
    late_ns = need(capacity, sizeof *late_ns);
    connections = need(connection_count, sizeof *connections);
    idle = need(connection_count, sizeof *idle);
    events = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < connection_count; i++) {
        open_connection(&connections[i]);
        release(&connections[i]);
    }
    play(rate, seconds);
    give_up_on_the_rest();
    qsort(took_ns, took_count, sizeof *took_ns, compare);
    qsort(late_ns, late_count, sizeof *late_ns, compare);
    printf("{\"arrivals\": %zu, \"errors\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, "
           "\"late_p99_us\": %.1f}\n",
           took_count, errors, share_us(took_ns, took_count, 0.5), share_us(took_ns, took_count, 0.99),
           share_us(took_ns, took_count, 1.0), share_us(late_ns, late_count, 0.99));
    return 0;
}
