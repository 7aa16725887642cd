/* TLS in front of a sink, where there is no nginx: a thread for each connection, bytes passed on as they come.
 *
 *     tls_front CERTIFICATE KEY PORT-OF-THE-SINK
 *
 * Prints its own port, and ends when its standard input is closed. */

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE_BYTES = 256 * 1024 };

static SSL_CTX *context;
static struct sockaddr_in sink;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int sent_all(int fd, const char *data, size_t count) {
    while (count) {
        ssize_t written = send(fd, data, count, 0);
        if (written <= 0) return 0;
        data += written;
        count -= (size_t)written;
    }
    return 1;
}

/* Pass bytes both ways until one end closes: TLS from the client, plain to and from the sink. */
static void pass(SSL *client, int behind, char *piece) {
    int front = SSL_get_fd(client);
    for (;;) {
        struct pollfd ready[2] = {{front, POLLIN, 0}, {behind, POLLIN, 0}};
        if (!SSL_pending(client) && poll(ready, 2, -1) < 0) return;
        if (SSL_pending(client) || ready[0].revents) {
            int count = SSL_read(client, piece, PIECE_BYTES);
            if (count <= 0 || !sent_all(behind, piece, (size_t)count)) return;
        }
        if (ready[1].revents) {
            ssize_t count = recv(behind, piece, PIECE_BYTES, 0);
            if (count <= 0 || SSL_write(client, piece, (int)count) <= 0) return;
        }
    }
}

static void *serve(void *given) {
    int front = (int)(long)given, behind = socket(AF_INET, SOCK_STREAM, 0);
    SSL *client = SSL_new(context);
    char *piece = malloc(PIECE_BYTES);
    if (behind >= 0 && client && piece && SSL_set_fd(client, front) && SSL_accept(client) == 1 &&
        connect(behind, (struct sockaddr *)&sink, sizeof sink) == 0)
        pass(client, behind, piece);
    free(piece);
    SSL_free(client);
    close(front);
    close(behind);
    return NULL;
}

static void *wait_for_end(void *unused) {
    (void)unused;
    while (getchar() != EOF) continue;
    exit(0);
}

int main(int count, char **words) {
    if (count != 4) return 2;
    signal(SIGPIPE, SIG_IGN);
    context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_use_certificate_file(context, words[1], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, words[2], SSL_FILETYPE_PEM) != 1)
        die("certificate");
    sink.sin_family = AF_INET;
    sink.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sink.sin_port = htons((unsigned short)atoi(words[3]));
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof own;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&own, length) || listen(listening, 1024) ||
        getsockname(listening, (struct sockaddr *)&own, &length))
        die("listen");
    printf("%d\n", ntohs(own.sin_port));
    fflush(stdout);
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_end, NULL)) die("thread");
    for (;;) {
        int front = accept(listening, NULL, NULL);
        if (front < 0) die("accept");
        if (pthread_create(&thread, NULL, serve, (void *)(long)front)) die("thread");
        pthread_detach(thread);
    }
}
