/* What the machine allows: uploads with C threads, one system call for a small file and sendfile for a large one.
 *
 *   limit LIST HOST PORT THREADS
 *
 * LIST has a path a line. No ledger, no hashing, no retries, no TLS: nothing that has those can be quicker.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SMALL_BYTES = 256 * 1024 };

static const char SUFFIX[] = "\r\n--limit-of-the-machine--\r\n";
static char **paths;
static size_t path_count;
static atomic_size_t next_path;
static struct sockaddr_in address;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void send_all(int fd, const char *data, size_t count, int flags) {
    while (count) {
        ssize_t sent = send(fd, data, count, flags | MSG_NOSIGNAL);
        if (sent < 0)
            die("send");
        data += sent;
        count -= (size_t)sent;
    }
}

static void send_small(int fd, char *head, size_t head_bytes, int file, size_t file_bytes, char *block) {
    if (read(file, block, file_bytes) != (ssize_t)file_bytes)
        die("read");
    struct iovec pieces[3] = {{head, head_bytes}, {block, file_bytes}, {(char *)SUFFIX, sizeof SUFFIX - 1}};
    size_t total = head_bytes + file_bytes + sizeof SUFFIX - 1;
    ssize_t sent = writev(fd, pieces, 3);
    if (sent < 0)
        die("writev");
    for (int index = 0; index < 3 && (size_t)sent < total; index++) {
        size_t skip = (size_t)sent < pieces[index].iov_len ? (size_t)sent : pieces[index].iov_len;
        send_all(fd, (char *)pieces[index].iov_base + skip, pieces[index].iov_len - skip, 0);
        total -= pieces[index].iov_len;
        sent -= (ssize_t)skip;
    }
}

static void send_large(int fd, char *head, size_t head_bytes, int file, size_t file_bytes) {
    send_all(fd, head, head_bytes, MSG_MORE);
    while (file_bytes) {
        ssize_t sent = sendfile(fd, file, NULL, file_bytes);
        if (sent <= 0)
            die("sendfile");
        file_bytes -= (size_t)sent;
    }
    send_all(fd, SUFFIX, sizeof SUFFIX - 1, 0);
}

static void read_answer(int fd) {
    char answer[8192];
    size_t have = 0, wanted = sizeof answer;
    while (have < wanted) {
        ssize_t count = recv(fd, answer + have, sizeof answer - 1 - have, 0);
        if (count <= 0)
            die("recv");
        have += (size_t)count;
        answer[have] = 0;
        char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\r\nContent-Length:");
        if (end && length)
            wanted = (size_t)(end + 4 - answer) + strtoul(length + 17, NULL, 10);
    }
    if (strncmp(answer, "HTTP/1.1 200", 12)) {
        fprintf(stderr, "%.100s\n", answer);
        exit(1);
    }
}

static void *work(void *unused) {
    char head[8192], form[4096], *block = malloc(SMALL_BYTES);
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    size_t index;
    (void)unused;
    if (!block || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    while ((index = atomic_fetch_add(&next_path, 1)) < path_count) {
        const char *path = paths[index], *slash = strrchr(path, '/');
        int file = open(path, O_RDONLY | O_CLOEXEC);
        struct stat status;
        if (file < 0 || fstat(file, &status) < 0)
            die(path);
        size_t file_bytes = (size_t)status.st_size;
        int form_bytes = snprintf(form, sizeof form,
                                  "--limit-of-the-machine\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n"
                                  "--limit-of-the-machine\r\nContent-Disposition: form-data; name=\"files\"; filename=\"%s\"\r\n"
                                  "Content-Type: application/octet-stream\r\n\r\n", slash ? slash + 1 : path);
        int head_bytes = snprintf(head, sizeof head,
                                  "PUT /v1/flow/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: benchmark\r\n"
                                  "Content-Type: multipart/form-data; boundary=limit-of-the-machine\r\n"
                                  "Content-Length: %zu\r\n\r\n%s", (size_t)form_bytes + file_bytes + sizeof SUFFIX - 1, form);
        if (file_bytes <= SMALL_BYTES)
            send_small(fd, head, (size_t)head_bytes, file, file_bytes, block);
        else
            send_large(fd, head, (size_t)head_bytes, file, file_bytes);
        close(file);
        read_answer(fd);
    }
    close(fd);
    free(block);
    return NULL;
}

static void read_list(const char *path) {
    FILE *list = fopen(path, "r");
    char *line = NULL;
    size_t room = 0, capacity = 0;
    if (!list)
        die(path);
    while (getline(&line, &room, list) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (path_count == capacity && !(paths = realloc(paths, (capacity = capacity * 2 + 1024) * sizeof *paths)))
            die("realloc");
        paths[path_count++] = strdup(line);
    }
    free(line);
    fclose(list);
}

int main(int argc, char **argv) {
    if (argc != 5)
        return fprintf(stderr, "usage: limit LIST HOST PORT THREADS\n"), 2;
    read_list(argv[1]);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(argv[3]));
    inet_pton(AF_INET, argv[2], &address.sin_addr);
    size_t thread_count = (size_t)atoi(argv[4]);
    pthread_t *threads = calloc(thread_count, sizeof *threads);
    for (size_t index = 0; index < thread_count; index++)
        if (pthread_create(&threads[index], NULL, work, NULL))
            die("thread");
    for (size_t index = 0; index < thread_count; index++)
        pthread_join(threads[index], NULL);
    free(threads);
    return 0;
}
