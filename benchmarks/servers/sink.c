/* A server that takes uploads, throws the bodies away and counts them. Linux; one thread; see sink.py.
 *
 *   sink [--port N] [--latency-ms N] [--rate N --burst N --retry-after N] [--keep FOLDER]
 *
 * It prints its port, serves 127.0.0.1 until its standard input ends, and then prints what it counted as one line of
 * JSON. It speaks the HTTP that upload clients speak: requests with a Content-Length, one after another on each
 * connection. Of a multipart body it reads the beginning, up to the head of the file part, and the last TAIL_BYTES,
 * where the file part ends; what lies between is dropped in the kernel (MSG_TRUNC), uncopied. With --keep nothing is
 * dropped: each file part is written to FOLDER under the number in its id.
 *
 * A body for /v1/flow/bulk_files may have any number of files: it is read whole, part by part, and answered with a list.
 * Nothing of it is kept.
 *
 * Content-Disposition is matched as clients write it; this is no parser for what strangers send.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024, TAIL_BYTES = 1024, TEXT_BYTES = 512, SKIP_BYTES = 4 * 1024 * 1024 };

typedef enum { HEAD, FRONT, SKIP, REST, BULK, ANSWERING } Stage;

typedef enum { PREAMBLE, BOUNDARY_END, PART_HEAD, PART } Place; /* within a body of several files */

typedef struct Connection {
    int fd;
    Stage stage;
    size_t have;            /* bytes in `buffer`: of the head, then of the body's front, then of its tail */
    uint64_t body_bytes;    /* of this request */
    uint64_t missing_bytes; /* of its body, not received yet */
    uint64_t file_start;    /* where in the body the file part's content begins */
    uint64_t rest_start;    /* where in the body `buffer` begins, once it holds the tail */
    int is_upload, is_flow, is_bulk, is_refused, closes;
    Place place;
    int in_file;             /* whether the part that is open is a file */
    uint64_t part_bytes;     /* of the part that is open, so far */
    char *list;              /* the answer to several files, as it grows */
    size_t list_bytes, list_room;
    int kept_fd;
    uint64_t number;
    char boundary[TEXT_BYTES]; /* with "\r\n--" in front */
    char name[TEXT_BYTES], purpose[TEXT_BYTES];
    uint64_t answer_at_ns;
    char answer[2 * TEXT_BYTES + 2048];
    size_t answer_bytes;
    struct Connection *next_answer;
    char buffer[BUFFER_BYTES];
} Connection;

static struct {
    uint64_t connections, open, open_max, requests, uploads, accepted, refused, malformed, broken;
    uint64_t body_bytes, file_bytes, name_sum, first_head_ns, last_answer_ns;
} counts;

static struct {
    uint64_t latency_ns;
    double rate_per_s, burst;
    int retry_after_s;
    const char *keep;
} options;

static int poller, timer;
static Connection *first_answer, *last_answer;
static char skipped[SKIP_BYTES];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void hang_up(Connection *one) {
    close(one->fd);
    one->fd = -1;
    counts.open--;
    if (one->stage != HEAD || one->have)
        counts.broken++;
    if (one->kept_fd >= 0)
        close(one->kept_fd);
    free(one->list);
    one->list = NULL;
    if (one->stage != ANSWERING) /* otherwise the queue of answers still has it */
        free(one);
}

/* --- Answers ---------------------------------------------------------------------------------------------------- */

/* Send more than a socket may take at once; nobody else is served meanwhile. */
static int send_all(int fd, const char *data, size_t count) {
    while (count) {
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        ssize_t sent = send(fd, data, count, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return 0;
        if (sent < 0 && poll(&writable, 1, 10000) <= 0)
            return 0;
        if (sent > 0)
            data += sent, count -= (size_t)sent;
    }
    return 1;
}

static void write_answer(Connection *one) {
    if (one->is_upload)
        counts.last_answer_ns = now_ns();
    ssize_t sent = send(one->fd, one->answer, one->answer_bytes, MSG_NOSIGNAL);
    int ended = sent != (ssize_t)one->answer_bytes || one->closes;
    if (!ended && one->list)
        ended = !send_all(one->fd, one->list, one->list_bytes);
    free(one->list);
    one->list = NULL;
    one->stage = HEAD;
    one->have = 0;
    if (ended)
        hang_up(one);
}

static void set_timer(uint64_t at_ns) {
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / 1000000000u), .tv_nsec = (long)(at_ns % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void answer(Connection *one, const char *status, const char *header, const char *body) {
    one->answer_bytes = (size_t)snprintf(one->answer, sizeof one->answer,
                                         "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                                         status, header, one->list ? one->list_bytes : strlen(body), body);
    if (!options.latency_ns || !one->is_upload) {
        write_answer(one);
        return;
    }
    /* The latency is the same for all, so the queue is in order of time. */
    one->stage = ANSWERING;
    one->answer_at_ns = now_ns() + options.latency_ns;
    one->next_answer = NULL;
    if (first_answer)
        last_answer->next_answer = one;
    else {
        first_answer = one;
        set_timer(one->answer_at_ns);
    }
    last_answer = one;
}

static void answer_due(void) {
    uint64_t expirations;
    if (read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
        die("timer");
    while (first_answer && first_answer->answer_at_ns <= now_ns()) {
        Connection *one = first_answer;
        first_answer = one->next_answer;
        if (one->fd < 0)
            free(one);
        else
            write_answer(one);
    }
    if (first_answer)
        set_timer(first_answer->answer_at_ns);
}

static void refuse_malformed(Connection *one, const char *why) {
    counts.malformed++;
    fprintf(stderr, "malformed request: %s\n", why);
    one->closes = 1;
    answer(one, "400 Bad Request", "", "{\"detail\":\"the sink does not understand this request\"}");
}

static void escape(char *to, const char *from) {
    for (; *from; from++) {
        if (*from == '"' || *from == '\\')
            *to++ = '\\';
        if ((unsigned char)*from >= 0x20)
            *to++ = *from;
    }
    *to = 0;
}

static uint64_t fnv1a(const char *text) {
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

static void refuse(Connection *one) {
    char header[64];
    snprintf(header, sizeof header, "Retry-After: %d\r\n", options.retry_after_s);
    counts.refused++;
    answer(one, "429 Too Many Requests", header, "{\"detail\":\"too many requests\"}");
}

/* Count a file as accepted and write what an answer says of it. */
static void describe(Connection *one, uint64_t number, uint64_t file_bytes, char *body, size_t room) {
    char name[2 * TEXT_BYTES], purpose[2 * TEXT_BYTES];
    counts.accepted++;
    counts.file_bytes += file_bytes;
    counts.name_sum += fnv1a(one->name); /* a sum does not mind the order */
    escape(name, one->name);
    escape(purpose, one->purpose);
    snprintf(body, room,
             "{\"id\":\"file-%012llu\",\"object\":\"file\",\"bytes\":%llu,\"filename\":\"%s\",\"purpose\":\"%s\",\"created_at\":%s}",
             (unsigned long long)number, (unsigned long long)file_bytes, name, purpose,
             /* The one API has a text here, the other a number; and OpenAI's has a status too, which clients may lack. */
             one->is_flow ? "\"2026-01-01T00:00:00Z\"" : "1767225600,\"status\":\"processed\"");
}

static void accept_file(Connection *one, uint64_t file_bytes) {
    char body[4 * TEXT_BYTES + 512];
    if (one->kept_fd >= 0) {
        if (ftruncate(one->kept_fd, (off_t)file_bytes) < 0)
            die("truncate");
        close(one->kept_fd);
        one->kept_fd = -1;
    }
    if (one->is_refused) {
        refuse(one);
        return;
    }
    describe(one, one->number, file_bytes, body, sizeof body);
    answer(one, "200 OK", "", body);
}

/* --- Bodies ----------------------------------------------------------------------------------------------------- */

/* Copy the parameter `key` (such as `filename="`) of a part's head up to its closing quote; return whether it is there. */
static int parameter(const char *head, size_t head_bytes, const char *key, char *value) {
    const char *at = memmem(head, head_bytes, key, strlen(key));
    size_t length = 0;
    if (!at)
        return 0;
    for (at += strlen(key); at < head + head_bytes && *at != '"' && length < TEXT_BYTES - 1; at++) {
        if (*at == '\\')
            at++;
        value[length++] = *at;
    }
    value[length] = 0;
    return 1;
}

/* Look for the head of the file part in what is there; note the purpose on the way. Return whether it was found. */
static int find_file(Connection *one) {
    const char *delimiter = one->boundary + 2, *end = one->buffer + one->have, *at = one->buffer;
    size_t delimiter_bytes = strlen(delimiter);
    while ((at = memmem(at, (size_t)(end - at), delimiter, delimiter_bytes))) {
        const char *head_end = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        char field[TEXT_BYTES];
        if (!head_end)
            return 0;
        size_t head_bytes = (size_t)(head_end - at);
        if (parameter(at, head_bytes, " filename=\"", one->name)) {
            one->file_start = (uint64_t)(head_end + 4 - one->buffer);
            return 1;
        }
        const char *value = head_end + 4;
        const char *value_end = memmem(value, (size_t)(end - value), one->boundary, delimiter_bytes + 2);
        if (!value_end)
            return 0;
        if (parameter(at, head_bytes, " name=\"", field) && !strcmp(field, "purpose") && value_end - value < TEXT_BYTES) {
            memcpy(one->purpose, value, (size_t)(value_end - value));
            one->purpose[value_end - value] = 0;
        }
        at = value_end + 2;
    }
    return 0;
}

static void keep(Connection *one, const char *data, size_t count) {
    if (one->kept_fd >= 0 && write(one->kept_fd, data, count) != (ssize_t)count)
        die("keep");
}

static void end_body(Connection *one) {
    uint64_t from = one->file_start > one->rest_start ? one->file_start - one->rest_start : 0;
    const char *end = memmem(one->buffer + from, one->have - from, one->boundary, strlen(one->boundary));
    if (!end)
        refuse_malformed(one, "the file part does not end, or too much follows it");
    else
        accept_file(one, one->rest_start + (uint64_t)(end - one->buffer) - one->file_start);
}

static void on_front(Connection *one) {
    int found = find_file(one);
    if (!found && one->missing_bytes && one->have < BUFFER_BYTES)
        return;
    if (!found) {
        refuse_malformed(one, "there is no file part, or too much in front of it");
        return;
    }
    if (options.keep) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%012llu", options.keep, (unsigned long long)one->number);
        one->kept_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (one->kept_fd < 0)
            die(path);
        keep(one, one->buffer + one->file_start, one->have - one->file_start);
    }
    one->rest_start = 0;
    if (!one->missing_bytes) {
        end_body(one);
        return;
    }
    if (one->missing_bytes <= BUFFER_BYTES - one->have) {
        one->stage = REST;
        return;
    }
    one->stage = SKIP;
    /* The tail may have begun in what is here already. */
    if (one->missing_bytes <= TAIL_BYTES) {
        size_t kept = TAIL_BYTES - (size_t)one->missing_bytes;
        memmove(one->buffer, one->buffer + one->have - kept, kept);
        one->rest_start = one->body_bytes - TAIL_BYTES;
        one->have = kept;
        one->stage = REST;
    }
}

/* --- Bodies with several files ---------------------------------------------------------------------------------- */

static void append(Connection *one, const char *text) {
    size_t count = strlen(text);
    if (one->list_bytes + count > one->list_room) {
        one->list_room = 2 * (one->list_bytes + count);
        one->list = realloc(one->list, one->list_room);
        if (!one->list)
            die("realloc");
    }
    memcpy(one->list + one->list_bytes, text, count);
    one->list_bytes += count;
}

/* The part that is open has ended: a file is one more in the answer. */
static void end_part(Connection *one) {
    char body[4 * TEXT_BYTES + 512];
    if (!one->in_file || one->is_refused)
        return;
    append(one, one->list_bytes ? "," : "[");
    describe(one, counts.accepted + 1, one->part_bytes, body, sizeof body);
    append(one, body);
}

/* Read what is there of a body, as far as it goes; return how many bytes are done with, -1 where it is no form. */
static ssize_t read_parts(Connection *one) {
    size_t delimiter_bytes = strlen(one->boundary), done = 0;
    for (;;) {
        const char *at = one->buffer + done;
        size_t left = one->have - done;
        const char *end;
        switch (one->place) {
        case PREAMBLE:
            /* The first boundary has no line break before it. */
            if (left < delimiter_bytes - 2)
                return (ssize_t)done;
            if (memcmp(at, one->boundary + 2, delimiter_bytes - 2))
                return -1;
            done += delimiter_bytes - 2;
            one->place = BOUNDARY_END;
            break;
        case BOUNDARY_END:
            if (left < 2)
                return (ssize_t)done;
            if (!memcmp(at, "--", 2))
                return (ssize_t)one->have;
            done += 2;
            one->place = PART_HEAD;
            break;
        case PART_HEAD: {
            char field[TEXT_BYTES];
            end = memmem(at, left, "\r\n\r\n", 4);
            if (!end)
                return (ssize_t)done;
            one->in_file = parameter(at, (size_t)(end - at), " filename=\"", one->name) &&
                           parameter(at, (size_t)(end - at), " name=\"", field) && !strcmp(field, "files");
            if (!one->in_file && parameter(at, (size_t)(end - at), " name=\"", field) && !strcmp(field, "purpose"))
                one->purpose[0] = 1; /* its value comes next */
            done += (size_t)(end + 4 - at);
            one->part_bytes = 0;
            one->place = PART;
            break;
        }
        default:
            end = memmem(at, left, one->boundary, delimiter_bytes);
            if (!end) {
                size_t sure = left > delimiter_bytes ? left - delimiter_bytes : 0;
                if (one->purpose[0] == 1)
                    return (ssize_t)done; /* short: it is read in one piece */
                one->part_bytes += sure;
                return (ssize_t)(done + sure);
            }
            one->part_bytes += (uint64_t)(end - at);
            if (one->purpose[0] == 1 && end - at < TEXT_BYTES) {
                memcpy(one->purpose, at, (size_t)(end - at));
                one->purpose[end - at] = 0;
            }
            end_part(one);
            done += (size_t)(end - at) + delimiter_bytes;
            one->place = BOUNDARY_END;
        }
    }
}

static void on_bulk(Connection *one) {
    ssize_t done = read_parts(one);
    if (done < 0 || (!done && one->have == BUFFER_BYTES)) {
        refuse_malformed(one, "no form with several files");
        return;
    }
    one->have -= (size_t)done;
    memmove(one->buffer, one->buffer + done, one->have);
    if (one->missing_bytes)
        return;
    if (one->is_refused) {
        refuse(one);
        return;
    }
    append(one, one->list_bytes ? "]" : "[]");
    answer(one, "200 OK", "", "");
}

/* --- Heads ------------------------------------------------------------------------------------------------------ */

static const char *header(const char *head, const char *name) {
    const char *at = strcasestr(head, name);
    return at ? at + strlen(name) + strspn(at + strlen(name), " ") : NULL;
}

static int is_over_rate(void) {
    static double tokens = -1;
    static uint64_t filled_at_ns;
    uint64_t now = now_ns();
    if (options.rate_per_s <= 0)
        return 0;
    tokens = tokens < 0 ? options.burst : tokens + (double)(now - filled_at_ns) * 1e-9 * options.rate_per_s;
    filled_at_ns = now;
    if (tokens > options.burst)
        tokens = options.burst;
    if (tokens < 1)
        return 1;
    tokens -= 1;
    return 0;
}

static void on_head(Connection *one, char *head_end) {
    size_t head_bytes = (size_t)(head_end + 4 - one->buffer);
    const char *value;
    *head_end = 0;
    const char *head = one->buffer;
    counts.requests++;
    one->is_upload = !strncmp(head, "PUT ", 4) || !strncmp(head, "POST ", 5);
    one->is_flow = strncmp(head + strcspn(head, " "), " /v1/flow", 9) == 0;
    one->is_bulk = one->is_flow && strstr(head, " /v1/flow/bulk_files") != NULL;
    one->closes = (value = header(head, "\r\nConnection:")) && !strncasecmp(value, "close", 5);
    one->body_bytes = (value = header(head, "\r\nContent-Length:")) ? strtoull(value, NULL, 10) : 0;
    one->purpose[0] = one->name[0] = 0;
    if (!one->is_upload || !one->body_bytes) {
        if (one->is_upload || one->body_bytes || one->have != head_bytes)
            refuse_malformed(one, "an upload needs a Content-Length, and nothing else may have a body");
        else
            answer(one, "200 OK", "", "{\"object\":\"list\",\"data\":[],\"has_more\":false}");
        return;
    }
    if (!counts.uploads++)
        counts.first_head_ns = now_ns();
    one->number = counts.uploads;
    counts.body_bytes += one->body_bytes;
    value = header(head, "\r\nContent-Type:");
    value = value ? strcasestr(value, "boundary=") : NULL;
    if (!value || one->have - head_bytes > one->body_bytes) {
        refuse_malformed(one, value ? "more than one request at a time" : "no boundary");
        return;
    }
    value += strlen("boundary=");
    value += *value == '"';
    snprintf(one->boundary, sizeof one->boundary, "\r\n--%.*s", (int)strcspn(value, "\"\r;"), value);
    one->is_refused = is_over_rate();
    if ((value = header(head, "\r\nExpect:")) && !strncmp(value, "100-", 4))
        if (send(one->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25)
            die("continue");
    one->have -= head_bytes;
    memmove(one->buffer, one->buffer + head_bytes, one->have);
    one->missing_bytes = one->body_bytes - one->have;
    one->stage = one->is_bulk ? BULK : FRONT;
    one->place = PREAMBLE;
    one->list_bytes = one->list_room = 0;
    if (one->have && one->is_bulk)
        on_bulk(one);
    else if (one->have)
        on_front(one);
}

/* --- Connections ------------------------------------------------------------------------------------------------ */

static ssize_t receive_next(Connection *one) {
    size_t room = BUFFER_BYTES - one->have;
    if (one->stage == SKIP) {
        uint64_t wanted = one->missing_bytes - TAIL_BYTES;
        return recv(one->fd, skipped, wanted < SKIP_BYTES ? wanted : SKIP_BYTES, options.keep ? 0 : MSG_TRUNC);
    }
    if (one->stage == HEAD)
        room -= 1; /* for the zero that ends it as a text */
    else if (one->missing_bytes < room)
        room = one->missing_bytes;
    return recv(one->fd, one->buffer + one->have, room, 0);
}

static void on_readable(Connection *one) {
    if (one->stage == ANSWERING) {
        char byte;
        if (recv(one->fd, &byte, 1, MSG_PEEK) <= 0)
            hang_up(one);
        return;
    }
    ssize_t count = receive_next(one);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        hang_up(one);
        return;
    }
    if (one->stage == HEAD) {
        size_t seen = one->have > 3 ? one->have - 3 : 0;
        one->have += (size_t)count;
        char *end = memmem(one->buffer + seen, one->have - seen, "\r\n\r\n", 4);
        if (end)
            on_head(one, end);
        else if (one->have >= BUFFER_BYTES - 1)
            hang_up(one);
        return;
    }
    one->missing_bytes -= (uint64_t)count;
    if (one->stage == SKIP) {
        keep(one, skipped, (size_t)count);
        if (one->missing_bytes == TAIL_BYTES) {
            one->rest_start = one->body_bytes - TAIL_BYTES;
            one->have = 0;
            one->stage = REST;
        }
        return;
    }
    if (one->stage == REST)
        keep(one, one->buffer + one->have, (size_t)count);
    one->have += (size_t)count;
    if (one->stage == FRONT)
        on_front(one);
    else if (one->stage == BULK)
        on_bulk(one);
    else if (!one->missing_bytes)
        end_body(one);
}

static void watch(int fd, void *who) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = who};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void take_connections(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        Connection *one = malloc(sizeof *one);
        if (!one)
            die("malloc");
        memset(one, 0, offsetof(Connection, buffer));
        one->fd = fd;
        one->kept_fd = -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watch(fd, one);
        counts.connections++;
        if (++counts.open > counts.open_max)
            counts.open_max = counts.open;
    }
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        die("accept");
}

static void report(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    double span_s = counts.last_answer_ns > counts.first_head_ns
                        ? (double)(counts.last_answer_ns - counts.first_head_ns) * 1e-9 : 0;
#define COUNT(name) printf("\"" #name "\":%llu,", (unsigned long long)counts.name)
    printf("{");
    COUNT(connections), COUNT(open_max), COUNT(requests), COUNT(uploads), COUNT(accepted), COUNT(refused);
    COUNT(malformed), COUNT(broken), COUNT(body_bytes), COUNT(file_bytes), COUNT(name_sum);
    printf("\"first_head_s\":%.6f,\"span_s\":%.6f,\"cpu_s\":%.6f}\n", counts.first_head_ns / 1e9, span_s, cpu_s);
    fflush(stdout);
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    int listener, yes = 1;
    options.retry_after_s = 1;
    for (int index = 1; index + 1 < argc; index += 2) {
        const char *name = argv[index], *value = argv[index + 1];
        if (!strcmp(name, "--port"))
            address.sin_port = htons((uint16_t)atoi(value));
        else if (!strcmp(name, "--latency-ms"))
            options.latency_ns = (uint64_t)(atof(value) * 1e6);
        else if (!strcmp(name, "--rate"))
            options.rate_per_s = atof(value);
        else if (!strcmp(name, "--burst"))
            options.burst = atof(value);
        else if (!strcmp(name, "--retry-after"))
            options.retry_after_s = atoi(value);
        else if (!strcmp(name, "--keep"))
            options.keep = value;
        else
            return fprintf(stderr, "unknown option %s\n", name), 2;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&address, &address_bytes);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    static char is_listener, is_timer, is_input;
    watch(listener, &is_listener);
    watch(timer, &is_timer);
    watch(STDIN_FILENO, &is_input);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(poller, events, 64, -1), is_due = 0;
        for (int index = 0; index < count; index++) {
            void *who = events[index].data.ptr;
            if (who == &is_listener)
                take_connections(listener);
            else if (who == &is_timer)
                is_due = 1;
            else if (who == &is_input)
                return report(), 0;
            else
                on_readable(who);
        }
        if (is_due) /* last: it may free a connection that has an event in this batch */
            answer_due();
    }
}
