//! What programs write to syslog, as templates in our own words: ordinary messages of many
//! programs, and trouble. Filled in by [`render`]; nothing here is copied from a real host.
//!
//! `%d` stands for a number below 100,000, `%s` for one below 100, `%m` for one below 3,000, `%x` and
//! `%X` for 8 and 16 hexadecimal digits, `%g` for a GUID, `%i` for an address, `%u` for a user,
//! `%P` for a percent sign, `%w` for a word, `%h` for a host, `%p` for a path, `%C` for a Java class, `%t` for a time.

use std::io::Write;

use crate::choices::Choices;

/// What one program writes.
#[derive(Debug)]
pub(super) struct Program {
    /// As in the syslog header, with `[pid]` where it has one.
    pub tag: &'static str,
    pub messages: &'static [&'static str],
}

const USERS: [&str; 16] = [
    "deploy",
    "root",
    "www-data",
    "postgres",
    "anna",
    "backup",
    "jenkins",
    "mkowalski",
    "svc_report",
    "git",
    "nobody",
    "tomek",
    "ubuntu",
    "prometheus",
    "oracle",
    "lena",
];
const WORDS: [&str; 40] = [
    "orders",
    "catalog",
    "invoice",
    "session",
    "basket",
    "shipping",
    "inventory",
    "profile",
    "thumbnail",
    "search",
    "payment",
    "address",
    "review",
    "coupon",
    "wishlist",
    "newsletter",
    "stock",
    "price",
    "tax",
    "region",
    "ledger",
    "export",
    "import",
    "digest",
    "avatar",
    "comment",
    "feed",
    "banner",
    "ticket",
    "gift",
    "return",
    "label",
    "parcel",
    "courier",
    "voucher",
    "bundle",
    "variant",
    "brand",
    "supplier",
    "warehouse",
];
const HOSTS: [&str; 12] = [
    "web-01",
    "web-07",
    "app-03",
    "app-10",
    "db-02",
    "db-05",
    "edge-04",
    "cache-1.internal",
    "mq-2.internal",
    "nas.example.org",
    "ldap.example.org",
    "repo.example.com",
];
const PATHS: [&str; 12] = [
    "/var/lib/app/spool",
    "/srv/data/part-0007",
    "/etc/ssl/private",
    "/usr/lib/systemd/system",
    "/home/deploy/releases/current",
    "/var/cache/nginx/proxy",
    "/opt/tomcat/webapps/shop",
    "/var/log/journal",
    "/mnt/nfs/media/2026",
    "/tmp/hsperfdata_app",
    "/var/backups/daily",
    "/api/v2/basket/items",
];
const CLASSES: [&str; 14] = [
    "com.example.shop.CheckoutService",
    "com.example.shop.cart.CartRepository",
    "org.apache.kafka.clients.consumer.internals.ConsumerCoordinator",
    "org.hibernate.engine.jdbc.spi.SqlStatementLogger",
    "com.zaxxer.hikari.pool.HikariPool",
    "org.springframework.web.servlet.DispatcherServlet",
    "io.netty.channel.nio.NioEventLoop",
    "com.example.search.IndexRefresher",
    "org.quartz.core.JobRunShell",
    "com.example.mail.TemplateRenderer",
    "org.eclipse.jetty.server.Server",
    "com.example.stock.ReservationSweeper",
    "org.flywaydb.core.internal.command.DbMigrate",
    "com.example.auth.TokenVerifier",
];

/// Writes `template` into `log` with its placeholders filled in.
///
/// # Panics
///
/// When the template names a placeholder that there is not.
pub(super) fn render(template: &str, choices: &mut Choices, log: &mut Vec<u8>) {
    let mut parts = template.split('%');
    log.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let mut rest = part.chars();
        let kind = rest.next().expect("no template ends with %");
        fill(kind, choices, log);
        log.extend_from_slice(rest.as_str().as_bytes());
    }
}

fn fill(kind: char, choices: &mut Choices, log: &mut Vec<u8>) {
    let mut number = |bound| choices.below(bound);
    let written = match kind {
        'd' => write!(log, "{}", number(100_000)),
        's' => write!(log, "{}", number(100)),
        'm' => write!(log, "{}", number(3_000)),
        'x' => write!(log, "{:08x}", number(u32::MAX)),
        'X' => write!(log, "{:08x}{:08x}", number(u32::MAX), number(u32::MAX)),
        'g' => {
            let [a, b, c, d] = [(); 4].map(|()| number(u32::MAX));
            let (b1, b2, c1, c2) = (b >> 16, b & 0xffff, c >> 16, c & 0xffff);
            write!(log, "{a:08x}-{b1:04x}-{b2:04x}-{c1:04x}-{c2:04x}{d:08x}")
        }
        'i' => write!(log, "10.{}.{}.{}", number(4), number(256), number(256)),
        'P' => write!(log, "%"),
        't' => write!(
            log,
            "2026-11-21 09:{:02}:{:02},{:03}",
            number(60),
            number(60),
            number(1000)
        ),
        'u' => write!(log, "{}", choices.one_of(&USERS)),
        'w' => write!(log, "{}", choices.one_of(&WORDS)),
        'h' => write!(log, "{}", choices.one_of(&HOSTS)),
        'p' => write!(log, "{}", choices.one_of(&PATHS)),
        'C' => write!(log, "{}", choices.one_of(&CLASSES)),
        other => panic!("%{other} is no placeholder"),
    };
    written.expect("memory takes all");
}

/// An ordinary day.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        tag: "sshd[%d]",
        messages: &[
            "Accepted publickey for %u from %i port %d ssh2: ED25519 SHA256:%X%X",
            "pam_unix(sshd:session): session opened for user %u(uid=%d) by (uid=0)",
            "pam_unix(sshd:session): session closed for user %u",
            "Received disconnect from %i port %d:11: disconnected by user",
            "Disconnected from user %u %i port %d",
            "Connection closed by authenticating user %u %i port %d [preauth]",
            "Invalid user %w from %i port %d",
            "error: kex_exchange_identification: banner line contains invalid characters",
            "Server listening on 0.0.0.0 port 22.",
        ],
    },
    Program {
        tag: "kernel",
        messages: &[
            "[%d.%d] usb 1-%s: new high-speed USB device number %s using xhci_hcd",
            "[%d.%d] IPv6: ADDRCONF(NETDEV_CHANGE): veth%x: link becomes ready",
            "[%d.%d] docker0: port %s(veth%x) entered forwarding state",
            "[%d.%d] docker0: port %s(veth%x) entered disabled state",
            "[%d.%d] eth0: renamed from veth%x",
            "[%d.%d] audit: type=1400 audit(1795251600.%s:%d): apparmor=\"STATUS\" operation=\"profile_replace\" profile=\"unconfined\" name=\"/usr/sbin/%w\" pid=%d comm=\"apparmor_parser\"",
            "[%d.%d] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:%s:%s:%s SRC=%i DST=%i LEN=60 TOS=0x00 PREC=0x00 TTL=5%s ID=%d DF PROTO=TCP SPT=%d DPT=23 WINDOW=65535 RES=0x00 SYN URGP=0",
            "[%d.%d] nvme nvme0: %s/0/0 default/read/poll queues",
            "[%d.%d] perf: interrupt took too long (%m > %m), lowering kernel.perf_event_max_sample_rate to %d",
            "[%d.%d] e1000e 0000:00:1f.6 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
            "[%d.%d] XFS (dm-%s): Ending clean mount",
        ],
    },
    Program {
        tag: "systemd[1]",
        messages: &[
            "Starting Daily apt download activities...",
            "Started Session %d of User %u.",
            "session-%d.scope: Deactivated successfully.",
            "Finished Rotate log files.",
            "logrotate.service: Consumed %s.%dms CPU time.",
            "Reloading nginx.service - A high performance web server and a reverse proxy server...",
            "Created slice user-%d.slice - User Slice of UID %d.",
            "Stopping User Runtime Directory /run/user/%d...",
            "Started app-%w.service - Worker for %w.",
            "fstrim.timer: Adding %s.%ss random time.",
            "var-lib-docker-overlay2-%x-merged.mount: Deactivated successfully.",
        ],
    },
    Program {
        tag: "CRON[%d]",
        messages: &[
            "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
            "(%u) CMD (/usr/local/bin/%w-sync --quiet --since=%mm >> /var/log/%w.log 2>&1)",
            "pam_unix(cron:session): session opened for user %u(uid=%d) by (uid=0)",
            "pam_unix(cron:session): session closed for user %u",
            "(%u) CMD ([ -x /usr/lib/php/sessionclean ] && /usr/lib/php/sessionclean)",
        ],
    },
    Program {
        tag: "postgres[%d]",
        messages: &[
            "[%d-1] %u@shop LOG:  duration: %m.%s ms  statement: SELECT id, sku, qty FROM %w WHERE customer_id = %d ORDER BY created_at DESC LIMIT 20",
            "[%d-1] LOG:  checkpoint starting: time",
            "[%d-1] LOG:  checkpoint complete: wrote %d buffers (%s.3%P); 0 WAL file(s) added, %s removed, %s recycled; write=%m.%s s, sync=0.0%s s, total=%m.%s s",
            "[%d-1] LOG:  connection received: host=%i port=%d",
            "[%d-1] %u@shop LOG:  connection authorized: user=%u database=%w SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)",
            "[%d-1] %u@shop LOG:  disconnection: session time: 0:%s:%s.%s user=%u database=%w host=%i port=%d",
            "[%d-1] LOG:  automatic vacuum of table \"shop.public.%w\": index scans: %s, pages: %d removed, %d remain",
            "[%d-1] %u@shop ERROR:  duplicate key value violates unique constraint \"%w_pkey\"",
            "[%d-1] %u@shop DETAIL:  Key (id)=(%d) already exists.",
        ],
    },
    Program {
        tag: "haproxy[%d]",
        messages: &[
            "%i:%d [21/Nov/2026:09:%s:%s.%s] fe_https~ be_%w/app%s 0/0/%s/%m/%m 200 %d - - ---- %s/%s/%s/%s/0 0/0 \"GET /%w/%d HTTP/1.1\"",
            "%i:%d [21/Nov/2026:09:%s:%s.%s] fe_https~ be_%w/app%s 0/0/%s/%m/%m 304 %d - - ---- %s/%s/%s/%s/0 0/0 \"GET /static/%w.%x.js HTTP/2.0\"",
            "%i:%d [21/Nov/2026:09:%s:%s.%s] fe_https~ be_%w/app%s %s/0/%s/%m/%m 201 %d - - --VN %s/%s/%s/%s/0 0/0 \"POST /api/%w HTTP/1.1\"",
            "Health check for server be_%w/app%s succeeded, reason: Layer7 check passed, code: 200, check duration: %sms, status: 3/3 UP.",
            "%i:%d [21/Nov/2026:09:%s:%s.%s] fe_https/1: SSL handshake failure",
        ],
    },
    Program {
        tag: "java[%d]",
        messages: &[
            "%t INFO  [http-nio-8080-exec-%s] %C - Completed 200 OK in %m ms",
            "%t INFO  [pool-%s-thread-%s] %C - Refreshed %d entries of %w, %s changed",
            "%t DEBUG [main] %C - Pool stats (total=%s, active=%s, idle=%s, waiting=0)",
            "%t WARN  [kafka-consumer-%s] %C - [Consumer clientId=%w-%s, groupId=%w] Offset commit took %m ms",
            "%t INFO  [scheduler-%s] %C - Job %w.%g finished; next fire time in %m s",
            "%t INFO  [http-nio-8080-exec-%s] %C - user=%u action=view_%w id=%d locale=pl_PL",
            "%t INFO  [G1 Main Marker] gc - GC(%d) Pause Young (Normal) (G1 Evacuation Pause) %mM->%mM(4096M) %s.%sms",
            "%t ERROR [http-nio-8080-exec-%s] %C - Rejected request: field '%w' must not be blank",
        ],
    },
    Program {
        tag: "checkout[%d]",
        messages: &[
            "{\"ts\":\"2026-11-21T09:%s:%s.%sZ\",\"level\":\"info\",\"logger\":\"%w\",\"msg\":\"request served\",\"method\":\"GET\",\"path\":\"/%w/%d\",\"status\":200,\"duration_ms\":%m,\"trace_id\":\"%X%X\"}",
            "{\"ts\":\"2026-11-21T09:%s:%s.%sZ\",\"level\":\"info\",\"logger\":\"%w\",\"msg\":\"message published\",\"topic\":\"%w.v1\",\"partition\":%s,\"offset\":%d}",
            "{\"ts\":\"2026-11-21T09:%s:%s.%sZ\",\"level\":\"debug\",\"logger\":\"cache\",\"msg\":\"miss\",\"key\":\"%w:%d\",\"ttl\":%m}",
            "{\"ts\":\"2026-11-21T09:%s:%s.%sZ\",\"level\":\"warn\",\"logger\":\"%w\",\"msg\":\"slow query\",\"duration_ms\":%m,\"rows\":%d,\"table\":\"%w\"}",
            "{\"ts\":\"2026-11-21T09:%s:%s.%sZ\",\"level\":\"info\",\"logger\":\"auth\",\"msg\":\"token issued\",\"user\":\"%u\",\"client\":\"%g\",\"ip\":\"%i\",\"scopes\":[\"%w:read\",\"%w:write\"]}",
            "{\"ts\":\"2026-11-21T09:%s:%s.%sZ\",\"level\":\"error\",\"logger\":\"%w\",\"msg\":\"validation failed\",\"field\":\"%w\",\"request_id\":\"%g\"}",
        ],
    },
    Program {
        tag: "gateway[%d]",
        messages: &[
            "level=info ts=2026-11-21T09:%s:%sZ caller=proxy.go:%m msg=\"upstream answered\" route=%w status=200 bytes=%d took=%mms remote=%i",
            "level=debug ts=2026-11-21T09:%s:%sZ caller=limit.go:%s msg=\"bucket refilled\" tenant=t%s tokens=%m",
            "level=info ts=2026-11-21T09:%s:%sZ caller=tls.go:%s msg=\"certificate reloaded\" path=%p serial=%X",
            "level=warn ts=2026-11-21T09:%s:%sZ caller=retry.go:%s msg=\"second attempt\" route=%w host=%h attempt=2",
        ],
    },
    Program {
        tag: "hdfs[%d]",
        messages: &[
            "INFO datanode.DataNode: Receiving BP-%d-%i-1795251600:blk_%d_%m src: /%i:%d dest: /%i:9866",
            "INFO datanode.DataNode: PacketResponder: BP-%d-%i:blk_%d_%m, type=LAST_IN_PIPELINE terminating",
            "INFO namenode.FSEditLog: Number of transactions: %d Total time for transactions(ms): %m Number of syncs: %m",
            "INFO blockmanagement.BlockManager: BLOCK* addStoredBlock: %i:9866 is added to blk_%d size %d",
            "INFO hdfs.StateChange: DIR* completeFile: %p/%w/part-%d.parquet is closed by DFSClient_%x",
        ],
    },
    Program {
        tag: "spark[%d]",
        messages: &[
            "INFO TaskSetManager: Finished task %s.0 in stage %s.0 (TID %d) in %m ms on %h (executor %s) (%s/100)",
            "INFO BlockManagerInfo: Removed broadcast_%d_piece0 on %i:%d in memory (size: %s.3 KiB, free: 2.%s GiB)",
            "INFO MemoryStore: Block rdd_%s_%s stored as values in memory (estimated size %s.1 MiB, free %m.0 MiB)",
            "INFO DAGScheduler: Submitting %s missing tasks from ShuffleMapStage %d (MapPartitionsRDD[%d] at %w)",
        ],
    },
    Program {
        tag: "postfix/smtp[%d]",
        messages: &[
            "%x: to=<%u@example.org>, relay=%h[%i]:25, delay=%s.%s, delays=0.1/0/0.%s/1.%s, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as %x)",
            "%x: to=<%u@example.net>, relay=none, delay=%m, dsn=4.4.1, status=deferred (connect to %h[%i]:25: No route to host)",
            "Trusted TLS connection established to %h[%i]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
        ],
    },
    Program {
        tag: "postfix/qmgr[%d]",
        messages: &[
            "%x: from=<%w@example.com>, size=%d, nrcpt=1 (queue active)",
            "%x: removed",
        ],
    },
    Program {
        tag: "dovecot",
        messages: &[
            "imap-login: Login: user=<%u>, method=PLAIN, rip=%i, lip=%i, mpid=%d, TLS, session=<%X>",
            "imap(%u)<%d><%X>: Disconnected: Logged out in=%m out=%d deleted=%s expunged=%s trashed=0 hdr_count=%s",
        ],
    },
    Program {
        tag: "dhclient[%d]",
        messages: &[
            "DHCPREQUEST for %i on eth0 to %i port 67 (xid=0x%x)",
            "DHCPACK of %i from %i (xid=0x%x)",
            "bound to %i -- renewal in %d seconds.",
        ],
    },
    Program {
        tag: "named[%d]",
        messages: &[
            "client @0x%x%s %i#%d (%w.example.org): query: %w.example.org IN AAAA +E(0)K (%i)",
            "zone example.org/IN: notify from %i#%d: zone is up to date",
            "lame server resolving '%w.in-addr.arpa' (in '%s.in-addr.arpa'?): %i#53",
        ],
    },
    Program {
        tag: "dockerd[%d]",
        messages: &[
            "time=\"2026-11-21T09:%s:%s.%sZ\" level=info msg=\"ignoring event\" container=%X%X%X%X module=libcontainerd namespace=moby topic=/tasks/delete type=\"*events.TaskDelete\"",
            "time=\"2026-11-21T09:%s:%s.%sZ\" level=warning msg=\"cleaning up after shim disconnected\" id=%X%X namespace=moby",
        ],
    },
    Program {
        tag: "kubelet[%d]",
        messages: &[
            "I1121 09:%s:%s.%s    %d kubelet.go:%m] \"SyncLoop (PLEG): event for pod\" pod=\"shop/%w-%x\" event={\"ID\":\"%g\",\"Type\":\"ContainerStarted\"}",
            "I1121 09:%s:%s.%s    %d reconciler_common.go:%m] \"Volume detached for volume\" volumeName=\"kube-api-access-%w\" nodeName=\"%h\" DevicePath=\"\"",
            "W1121 09:%s:%s.%s    %d prober.go:%s] \"Readiness probe took longer than usual\" pod=\"shop/%w-%x\" seconds=%s",
        ],
    },
    Program {
        tag: "etcd[%d]",
        messages: &[
            "{\"level\":\"info\",\"caller\":\"mvcc/kvstore_compaction.go:%s\",\"msg\":\"finished scheduled compaction\",\"compact-revision\":%d,\"took\":\"%s.%sms\"}",
            "{\"level\":\"warn\",\"caller\":\"etcdserver/util.go:%m\",\"msg\":\"apply request took too long\",\"took\":\"%m.%sms\",\"expected-duration\":\"100ms\",\"prefix\":\"read-only range \",\"request\":\"key:\\\"/registry/%w/%w\\\" \"}",
        ],
    },
    Program {
        tag: "redis-server[%d]",
        messages: &[
            "%d:M 21 Nov 2026 09:%s:%s.%s * 10000 changes in 60 seconds. Saving...",
            "%d:M 21 Nov 2026 09:%s:%s.%s * Background saving started by pid %d",
            "%d:C 21 Nov 2026 09:%s:%s.%s * DB saved on disk",
            "%d:M 21 Nov 2026 09:%s:%s.%s - Accepted %i:%d",
        ],
    },
    Program {
        tag: "rabbitmq[%d]",
        messages: &[
            "2026-11-21 09:%s:%s.%s+00:00 [info] <0.%d.0> accepting AMQP connection <0.%d.0> (%i:%d -> %i:5672)",
            "2026-11-21 09:%s:%s.%s+00:00 [info] <0.%d.0> connection <0.%d.0> (%i:%d -> %i:5672): user '%u' authenticated and granted access to vhost '/%w'",
        ],
    },
    Program {
        tag: "puppet-agent[%d]",
        messages: &[
            "Applied catalog in %s.%s seconds",
            "(/Stage[main]/Profile::%w/File[%p]/content) content changed '{sha256}%X%X' to '{sha256}%X%X'",
            "Retrieving plugin facts from puppet:///pluginfacts",
        ],
    },
    Program {
        tag: "celery[%d]",
        messages: &[
            "[%t: INFO/MainProcess] Task %w.tasks.refresh[%g] received",
            "[%t: INFO/ForkPoolWorker-%s] Task %w.tasks.refresh[%g] succeeded in 0.%ds: None",
            "[%t: WARNING/ForkPoolWorker-%s] %w: retrying page %s of %s",
        ],
    },
    Program {
        tag: "rails[%d]",
        messages: &[
            "[%g] Started GET \"/%w/%d\" for %i at 2026-11-21 09:%s:%s +0000",
            "[%g] Processing by %wController#show as HTML",
            "[%g] Completed 200 OK in %mms (Views: %s.%sms | ActiveRecord: %s.%sms | Allocations: %d)",
            "[%g]   Rendered %w/_%w.html.erb (Duration: %s.%sms | Allocations: %m)",
        ],
    },
    Program {
        tag: "nginx",
        messages: &[
            "2026/11/21 09:%s:%s [warn] %d#0: *%d an upstream response is buffered to a temporary file %p/%s/%d while reading upstream, client: %i, server: shop.example.com, request: \"GET /%w/%d HTTP/1.1\"",
            "2026/11/21 09:%s:%s [error] %d#0: *%d open() \"/srv/www/%w/%d.png\" failed (2: No such file or directory), client: %i, server: static.example.com",
            "2026/11/21 09:%s:%s [notice] %d#0: signal process started",
        ],
    },
    Program {
        tag: "snmpd[%d]",
        messages: &[
            "Connection from UDP: [%i]:%d->[%i]:161",
            "Cannot statfs %p: Permission denied",
        ],
    },
    Program {
        tag: "ntpd[%d]",
        messages: &["adjusting local clock by -0.%ds", "peer %i now valid"],
    },
    Program {
        tag: "sudo",
        messages: &[
            "  %u : TTY=pts/%s ; PWD=%p ; USER=root ; COMMAND=/usr/bin/systemctl reload %w",
            "pam_unix(sudo:session): session opened for user root(uid=0) by %u(uid=%d)",
        ],
    },
];

/// What rules look for: about one line in 140.
pub(super) const TROUBLE: &[Program] = &[
    Program {
        tag: "nginx",
        messages: &[
            "2026/11/21 09:%s:%s [error] %d#0: *%d upstream timed out (110: Connection timed out) while connecting to upstream, client: %i, server: shop.example.com, request: \"POST /%w HTTP/1.1\", upstream: \"http://%i:8080/%w\"",
            "2026/11/21 09:%s:%s [error] %d#0: *%d no live upstreams while connecting to upstream, client: %i, server: api.example.com",
            "2026/11/21 09:%s:%s [crit] %d#0: *%d SSL_do_handshake() failed (SSL: error:0A000086) while SSL handshaking, client: %i",
        ],
    },
    Program {
        tag: "kernel",
        messages: &[
            "[%d.%d] %w-worker[%d]: segfault at %X ip %X sp %X error 4 in libc.so.6[%x+155000]",
            "[%d.%d] Out of memory: Killed process %d (java) total-vm:%dkB, anon-rss:%dkB, file-rss:0kB",
            "[%d.%d] EXT4-fs error (device sda%s): ext4_find_entry:%m: inode #%d: comm cron: reading directory lblock 0",
            "[%d.%d] INFO: task jbd2/dm-%s:%d blocked for more than 120 seconds.",
        ],
    },
    Program {
        tag: "sshd[%d]",
        messages: &[
            "Failed password for invalid user %u from %i port %d ssh2",
            "error: maximum authentication attempts exceeded for root from %i port %d ssh2 [preauth]",
        ],
    },
    Program {
        tag: "postgres[%d]",
        messages: &[
            "[%d-1] FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "[%d-1] %u@shop ERROR:  deadlock detected",
        ],
    },
    Program {
        tag: "haproxy[%d]",
        messages: &[
            "Server be_%w/app%s is DOWN, reason: Layer4 timeout, check duration: %mms. 2 active and 0 backup servers left.",
        ],
    },
    Program {
        tag: "systemd[1]",
        messages: &["app-%w.service: Main process exited, code=exited, status=1/FAILURE"],
    },
    Program {
        tag: "java[%d]",
        messages: &[
            "%t ERROR [http-nio-8080-exec-%s] %C - java.lang.OutOfMemoryError: Java heap space",
            "%t ERROR [pool-%s-thread-%s] %C - I/O error: Connection reset by peer",
        ],
    },
    Program {
        tag: "rsyncd[%d]",
        messages: &["rsync: write failed on \"%p/%w\": No space left on device (28)"],
    },
    Program {
        tag: "weir[%d]",
        messages: &[
            "lantern-%s: quota is spent after %m ms, event=orchard_%m",
            "kiln[%d]: shard of %w: journal is torn, code=E%m-jetty down",
        ],
    },
];
