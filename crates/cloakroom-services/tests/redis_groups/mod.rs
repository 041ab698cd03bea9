//! Groups of servers, where another takes over.

use cloakroom_services::{RedisCluster, RedisSentinel};
use libtest_mimic::Trial;

use crate::harness::{eventually, trial};
use crate::wire::redis;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "redis_cluster",
            "serves_every_slot",
            || RedisCluster::start(3, 0),
            |cluster| {
                assert_eq!(cluster.url().matches("127.0.0.1:").count(), 3);
                for node in cluster.nodes() {
                    let info = redis(node.port(), "CLUSTER INFO\r\n");
                    assert!(info.contains("cluster_slots_ok:16384"), "{info}");
                }
            },
        ),
        trial(
            "redis_cluster",
            "replaces_a_killed_master_and_takes_it_back",
            || RedisCluster::start(3, 3),
            |cluster| {
                let [first, second, _, replica, ..] = cluster.nodes() else {
                    unreachable!("it has six nodes");
                };
                assert!(role(replica.port(), "slave"));
                first.kill().expect("it is killed");
                assert!(eventually(|| role(replica.port(), "master")));
                assert!(eventually(|| {
                    redis(second.port(), "CLUSTER INFO\r\n").contains("cluster_state:ok")
                }));
                first.restart().expect("it comes back");
                assert!(eventually(|| role(first.port(), "slave")));
            },
        ),
        trial(
            "redis_sentinel",
            "promotes_the_replica",
            RedisSentinel::start,
            |group| {
                let asked = format!(
                    "SENTINEL get-master-addr-by-name {}\r\n",
                    RedisSentinel::MASTER
                );
                let names = |port: u16| {
                    redis(group.sentinel().port(), &asked).contains(&format!("\r\n{port}\r\n"))
                };
                assert!(names(group.master().port()));
                group.master().kill().expect("it is killed");
                assert!(eventually(|| names(group.replica().port())));
                assert!(eventually(|| role(group.replica().port(), "master")));
            },
        ),
    ]
}

fn role(port: u16, role: &str) -> bool {
    redis(port, "INFO replication\r\n").contains(&format!("role:{role}"))
}
