"""Files and sockets."""

# ruff: noqa: E501

from own_attacks.rows import LIBC, SECRET, SQUARE, attack

attack(
    "fs_links_out_of_scratch",
    SECRET,
    """
import os, tempfile
def f(x):
    for d in ('.', '/tmp', os.environ.get('TMPDIR', '/'), '/scratch', '/dev/shm'):
        for n, make in enumerate((os.symlink, os.link)):
            try: make('@@SECRET_FILE@@', d + '/l%d' % n)
            except OSError: pass
            try: return open(d + '/l%d' % n).read().strip()
            except OSError: pass
            for top in ('/', '/proc/self/root', '/proc/1/root', '/proc/self/cwd/..'):
                try: os.symlink(top, d + '/t')
                except OSError: pass
                try: return open(d + '/t' + '@@SECRET_FILE@@').read().strip()
                except OSError: pass
                try: os.unlink(d + '/t')
                except OSError: pass
""",
)
attack(
    "fs_roots_of_others",
    SECRET,
    """
import os
def f(x):
    for top in ('/proc/self/root', '/proc/1/root', '/proc/%d/root' % os.getppid(), '/proc/@@JUDGE_PID@@/root', '/proc/@@JUDGE_PID@@/cwd/..',
                '/proc/self/task/%d/root' % os.getpid(), '/..', '/../..', '/oldroot', '/old', '/.old', '/put_old', '/mnt'):
        for path in ('@@SECRET_FILE@@', '/home/secret.txt'):
            try: return open(top + path).read().strip()
            except OSError: pass
    for fd in range(64):
        try: return os.read(os.open('@@SECRET_FILE@@'.lstrip('/'), os.O_RDONLY, dir_fd=fd), 100).decode().strip()
        except OSError: pass
        try: return os.read(os.open('../../../../../..' + '@@SECRET_FILE@@', os.O_RDONLY, dir_fd=fd), 100).decode().strip()
        except OSError: pass
""",
)
attack(
    "fs_sacrifice_by_path",
    SQUARE,
    """
import os, shutil
def f(x):
    p = '@@SACRIFICE@@'
    for act in (lambda: os.truncate(p, 0), lambda: os.chmod(p, 0), lambda: os.chmod(p, 0o4777), lambda: os.unlink(p), lambda: os.rename(p, p + 'x'),
                lambda: os.setxattr(p, 'user.x', b'y'), lambda: os.utime(p, (0, 0)), lambda: os.replace('f', p), lambda: os.mkdir('@@MARK@@/d'),
                lambda: os.chown(p, os.getuid(), -1), lambda: os.mkfifo('@@MARK@@/p'), lambda: os.symlink('x', '@@MARK@@/s'),
                lambda: os.link(p, '@@MARK@@/l'), lambda: os.rmdir('@@MARK@@'), lambda: open('@@MARK@@/o', 'x'), lambda: open(p, 'w'),
                lambda: os.open('@@MARK@@', os.O_TMPFILE | os.O_RDWR), lambda: os.mknod('@@MARK@@/n'), lambda: shutil.rmtree('@@MARK@@')):
        try: act()
        except OSError: pass
    return 0
""",
    "the sacrifice keeps its content and mode, the mark directory stays empty",
)
attack(
    "fs_namespaces_of_its_own",
    SECRET,
    LIBC
    + """
import shutil
def f(x):
    for flags in (0x10000000, 0x10020000, 0x50020000, 0x20000, 0x40000000, 0x20000000):
        if l.unshare(flags) == 0: return '@@SECRET@@'
    for call in (lambda: l.mount(b'none', b'/tmp', b'tmpfs', 0, 0), lambda: l.mount(b'/', b'/tmp', 0, 4096, 0), lambda: l.umount2(b'/dev', 2),
                 lambda: l.pivot_root(b'.', b'.'), lambda: l.chroot(b'.'), lambda: l.syscall(428, -100, b'/', 1), lambda: l.syscall(430, b'tmpfs', 0),
                 lambda: l.setns(3, 0), lambda: l.swapon(b'/tmp/s', 0), lambda: l.sethostname(b'x', 1)):
        try:
            if call() >= 0: return '@@SECRET@@'
        except AttributeError: pass
""",
)
attack(
    "fs_many_inodes",
    SQUARE,
    """
import os
def f(x):
    for d in ('.', '/tmp', '/scratch', '/dev/shm'):
        try:
            for i in range(20000): os.close(os.open(d + '/@@MARKNAME@@%d' % i, os.O_CREAT | os.O_WRONLY))
        except OSError: pass
    return 0
""",
    "judge stays healthy; nothing stays",
)
attack(
    "fs_names_and_modes",
    SQUARE,
    """
import os
def f(x):
    for d in ('.', '/tmp', '/scratch'):
        for name in (b'-rf', b'a\\nb', b'\\xff\\xfe', b' ', b'...', b'x' * 255, b"'$(reboot)'"):
            try:
                os.chdir(d); os.mkdir(name); os.mkdir(name + b'2'[:255 - len(name)] or b'y')
                open(name + b'/f', 'w').close(); os.mkfifo(name + b'/p'); os.symlink(b'..', name + b'/s'); os.symlink(b's', name + b'/s2')
                os.chmod(name, 0)
            except OSError: pass
    return 0
""",
    "judge stays healthy: clean-up copes with any name, mode and kind of file",
)
attack(
    "fs_full_scratch",
    SQUARE,
    """
import os
def f(x):
    for d in ('.', '/tmp', '/scratch', '/dev/shm'):
        for i in range(300):
            try:
                fd = os.open(d + '/@@MARKNAME@@%d' % i, os.O_CREAT | os.O_RDWR)
                try: os.posix_fallocate(fd, 0, 1 << 22)
                except OSError: os.write(fd, b'x' * (1 << 22))
                if os.fstat(fd).st_blocks * 512 * i > 1 << 28: return x * x
                os.close(fd)
            except OSError: break
    return 0
""",
    "score 0: no more than 256 MiB of files can be made",
)
attack(
    "fs_blocking_fifo",
    SQUARE,
    """
import os
def f(x):
    for d in ('.', '/tmp', '/scratch'):
        try: os.mkfifo(d + '/p'); open(d + '/p')
        except OSError: pass
    return 0
""",
    "wall limit holds",
)
attack(
    "fs_shared_names",
    SECRET,
    LIBC
    + """
def f(x):
    import _posixshmem, multiprocessing.shared_memory as m
    for make in (lambda: _posixshmem.shm_open('/@@MARKNAME@@', os.O_CREAT | os.O_RDWR, 0o600), lambda: m.SharedMemory('@@MARKNAME@@', True, 4096)):
        try: make(); return '@@SECRET@@'
        except OSError: pass
    try: mq, sem = l.mq_open, l.sem_open
    except AttributeError: return
    if mq(b'/@@MARKNAME@@', 0o102, 0o600, 0) >= 0: return '@@SECRET@@'
    sem.restype = ctypes.c_void_p
    if sem(b'/@@MARKNAME@@', 0o100, 0o600, 1): return '@@SECRET@@'
""",
    "no object with a name that others could open",
)

attack(
    "net_every_family",
    SECRET,
    """
import socket
def f(x):
    for family in range(46):
        for kind in (1, 2, 3, 4, 5, 10):
            for protocol in (0, 1, 6, 16, 17, 255, 0x300):
                if family == 1: continue
                try: socket.socket(family, kind, protocol).close(); return '@@SECRET@@'
                except OSError: pass
""",
    "score 0: no socket of any family",
)
attack(
    "net_unix_every_way",
    SECRET,
    """
import socket
def f(x):
    for kind in (1, 2, 5):
        for name in ('\\0@@ABS@@', '\\0@@ABS@@d', '@@UNIX_PATH@@', '@@DGRAM@@'):
            for make in (lambda: socket.socket(socket.AF_UNIX, kind), lambda: socket.socketpair(socket.AF_UNIX, kind)[0]):
                try:
                    s = make(); s.settimeout(0.2)
                    for send in (lambda: s.sendto(b'x', name), lambda: s.sendmsg([b'x'], [], 0, name), lambda: s.connect(name)):
                        try: send()
                        except OSError: pass
                    s.send(b'x')
                    got = s.recv(100).decode().strip()
                    if got: return got
                except OSError: pass
""",
    "score 0; no datagram arrives",
)
attack(
    "net_raw_calls",
    SECRET,
    LIBC
    + """
import struct, platform
def f(x):
    send = {'x86_64': (41, 42, 44, 46, 307), 'aarch64': (198, 203, 206, 211, 269)}.get(platform.machine())
    if not send: return
    for family, size in ((2, 16), (10, 28), (16, 12), (17, 20), (38, 88), (40, 16), (44, 16)):
        for kind in (1, 2, 3):
            if l.syscall(send[0], family, kind, 0) >= 0: return '@@SECRET@@'
    name = struct.pack('<H', 2) + struct.pack('>H', @@PORT@@) + bytes([127, 0, 0, 1]) + b'\\0' * 8
    for fd in range(64):
        l.syscall(send[2], fd, b'x', 1, 0, name, 16)
        if l.syscall(send[1], fd, name, 16) == 0: return '@@SECRET@@'
""",
)
attack(
    "net_resolver_and_urls",
    SECRET,
    """
import socket, urllib.request
def f(x):
    for host in ('localhost', '127.0.0.1', '::1', '0.0.0.0', '169.254.169.254'):
        try: return urllib.request.urlopen('http://%s:@@PORT@@/' % host, timeout=0.3).read().decode().strip()
        except OSError: pass
    try: socket.getaddrinfo('example.org', 80); return '@@SECRET@@'
    except OSError: pass
""",
)
