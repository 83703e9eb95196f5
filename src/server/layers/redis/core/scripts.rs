//! The Lua scripts of the sorted-set layer.
//!
//! They run inside Redis, one at a time, so what `channels_redis` does in four commands with room for races between them is
//! one step here. Their clock is that of the Redis server, the same for all nodes; peers in Python use their own.

use super::super::shard::Script;

/// For each key: drops what has expired and appends messages until the queue is full; answers with how many of each key's messages
/// were taken. `ARGV`: the expiry in seconds; then for each key its capacity, how many unread messages of this queue are in the
/// sender's own process already, the number of messages, and the messages.
///
/// Scores rise strictly, by at least a microsecond, which is a little more than four steps of a double at this size: sorted sets
/// order equal scores by their bytes, and one sender's messages would change places.
pub(super) const PUT: &str = r"
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local expiry = tonumber(ARGV[1])
local taken = {}
local at = 2
for i, key in ipairs(KEYS) do
  local count = tonumber(ARGV[at + 2])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - expiry)
  local room = tonumber(ARGV[at]) - tonumber(ARGV[at + 1]) - redis.call('ZCARD', key)
  taken[i] = math.max(0, math.min(count, room))
  if taken[i] > 0 then
    local score = now
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
    if last and tonumber(last) >= score then
      score = tonumber(last) + 0.000001
    end
    local entries = {}
    for n = 1, taken[i] do
      entries[2 * n - 1] = string.format('%.6f', score + (n - 1) * 0.000001)
      entries[2 * n] = ARGV[at + 2 + n]
    end
    redis.call('ZADD', key, unpack(entries))
    redis.call('EXPIRE', key, math.ceil(expiry))
  end
  at = at + 3 + count
end
return taken
";

/// Drops what has expired and takes the oldest messages, with their scores. `ARGV`: the expiry in seconds, how many at most.
pub(super) const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
return redis.call('ZPOPMIN', KEYS[1], ARGV[2])
";

/// Makes a channel a member of a group. `ARGV`: the group expiry and the age of the membership in seconds, the channel.
pub(super) const JOIN: &str = r"
local time = redis.call('TIME')
local since = string.format('%.6f', time[1] + time[2] / 1000000 - ARGV[2])
redis.call('ZADD', KEYS[1], since, ARGV[3])
return redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[1]))
";

/// The members of a group, without those whose time is over. `ARGV`: the group expiry in seconds.
pub(super) const MEMBERS: &str = r"
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
return redis.call('ZRANGE', KEYS[1], 0, -1)
";

/// Of channels, each with the key of a group, those that are no members: their places, from 1 on. `ARGV`: the channels.
pub(super) const UNKNOWN: &str = r"
local unknown = {}
for i, key in ipairs(KEYS) do
  if not redis.call('ZSCORE', key, ARGV[i]) then
    unknown[#unknown + 1] = i
  end
end
return unknown
";

/// What a server has to know before the layer uses it.
pub(super) const ALL: [&str; 5] = [PUT, TAKE, JOIN, MEMBERS, UNKNOWN];

/// The same, ready to be called.
pub(super) struct Scripts {
    pub(super) put: Script,
    pub(super) take: Script,
    pub(super) join: Script,
    pub(super) members: Script,
    pub(super) unknown: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let [put, take, join, members, unknown] = ALL.map(Script::new);
        Self { put, take, join, members, unknown }
    }
}
