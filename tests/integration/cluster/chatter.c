/* What a pod sends from its first microsecond, and who hears it: the process of a container that has nothing else.
 *   chatter sink               hears UDP and TCP on port 9999 and prints "udp ADDRESS" or "tcp ADDRESS", each once
 *   chatter send SECONDS TO... sends UDP and opens TCP to port 9999 of each address for that time (0: for ever), and prints
 *                              "sent N" each second
 *   chatter once TO            opens one TCP connection; ends with 0 when it took less than 500 ms
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 9999, MOST_HEARD = 4096, MOST_TARGETS = 64 };

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static socklen_t target(const char *text, struct sockaddr_storage *out) {
  struct sockaddr_in *four = (struct sockaddr_in *)out;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(PORT);
    return sizeof *four;
  }
  if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) exit(2);
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(PORT);
  return sizeof *six;
}

static int heard(const char *how, const struct sockaddr_in6 *from) {
  static char lines[MOST_HEARD][80];
  static int count;
  char address[INET6_ADDRSTRLEN], line[80];
  if (IN6_IS_ADDR_V4MAPPED(&from->sin6_addr))
    inet_ntop(AF_INET, &from->sin6_addr.s6_addr[12], address, sizeof address);
  else
    inet_ntop(AF_INET6, &from->sin6_addr, address, sizeof address);
  snprintf(line, sizeof line, "%s %s", how, address);
  for (int i = 0; i < count; i++)
    if (strcmp(lines[i], line) == 0) return 0;
  if (count < MOST_HEARD) strcpy(lines[count++], line);
  return puts(line) < 0 || fflush(stdout) != 0;
}

static int sink(void) {
  struct sockaddr_in6 own = {.sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = in6addr_any}, from;
  struct pollfd all[2] = {{.fd = socket(AF_INET6, SOCK_DGRAM, 0), .events = POLLIN},
                          {.fd = socket(AF_INET6, SOCK_STREAM, 0), .events = POLLIN}};
  const int yes = 1;
  char byte;
  setsockopt(all[1].fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  for (int i = 0; i < 2; i++)
    if (bind(all[i].fd, (struct sockaddr *)&own, sizeof own)) return 1;
  if (listen(all[1].fd, 128)) return 1;
  for (;;) {
    if (poll(all, 2, -1) < 0) return 1;
    socklen_t size = sizeof from;
    if (all[0].revents && recvfrom(all[0].fd, &byte, 1, 0, (struct sockaddr *)&from, &size) >= 0) heard("udp", &from);
    size = sizeof from;
    if (!all[1].revents) continue;
    const int connection = accept(all[1].fd, (struct sockaddr *)&from, &size);
    if (connection < 0) continue;
    heard("tcp", &from);
    close(connection);
  }
}

static int send_all(double seconds, int count, char **texts) {
  struct sockaddr_storage to[MOST_TARGETS];
  socklen_t size[MOST_TARGETS];
  int udp[MOST_TARGETS], tcp[MOST_TARGETS];
  long sent = 0;
  if (count > MOST_TARGETS) return 2;
  for (int i = 0; i < count; i++) {
    size[i] = target(texts[i], &to[i]);
    udp[i] = socket(to[i].ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    tcp[i] = -1;
  }
  const double begin = now();
  double told = begin;
  for (long round = 0; seconds == 0 || now() - begin < seconds; round++) {
    for (int i = 0; i < count; i++) {
      if (sendto(udp[i], "x", 1, 0, (struct sockaddr *)&to[i], size[i]) == 1) sent++;
      if (round % 100 != 0) continue;
      if (tcp[i] >= 0) close(tcp[i]);
      tcp[i] = socket(to[i].ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
      connect(tcp[i], (struct sockaddr *)&to[i], size[i]);
    }
    if (now() - told >= 1) {
      told = now();
      printf("sent %ld\n", sent);
      fflush(stdout);
    }
    usleep(round < 1000 ? 100 : 5000);
  }
  return 0;
}

static int once(const char *text) {
  struct sockaddr_storage to;
  const socklen_t size = target(text, &to);
  const double begin = now();
  struct pollfd one = {.fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), .events = POLLOUT};
  int problem = 0;
  socklen_t length = sizeof problem;
  if (connect(one.fd, (struct sockaddr *)&to, size) && errno != EINPROGRESS) problem = errno;
  if (!problem && poll(&one, 1, 500) != 1) problem = ETIMEDOUT;
  if (!problem) getsockopt(one.fd, SOL_SOCKET, SO_ERROR, &problem, &length);
  printf("once %s %.1f ms: %s\n", text, (now() - begin) * 1000, strerror(problem));
  return problem != 0;
}

static void quit(int signal_number) { _exit(signal_number == SIGTERM ? 0 : 1); }

int main(int argc, char **argv) {
  signal(SIGTERM, quit); /* as process 1 there is no default */
  if (argc == 2 && strcmp(argv[1], "sink") == 0) return sink();
  if (argc > 3 && strcmp(argv[1], "send") == 0) return send_all(atof(argv[2]), argc - 3, argv + 3);
  if (argc == 3 && strcmp(argv[1], "once") == 0) return once(argv[2]);
  return 2;
}
