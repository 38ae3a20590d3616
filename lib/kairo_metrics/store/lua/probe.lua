-- Asks for every command that apply.lua and tidy.lua run, and writes nothing: what would write is malformed on purpose, so
-- that a server which allows it complains about an argument, and one which does not about the permission.
--
-- KEYS[1] a key of the shard that does not exist
--
-- Answers {command, what the server said, command, ...} for the commands that failed.

local probes = {
  { 'TIME' },
  { 'GET', KEYS[1] },
  { 'HMGET', KEYS[1], 'probe' },
  { 'HGET', KEYS[1], 'probe' },
  { 'HLEN', KEYS[1] },
  { 'HKEYS', KEYS[1] },
  { 'SET', KEYS[1], 'probe', 'PX', '0' }, -- no time to live is that short
  { 'PEXPIRE', KEYS[1], '1000' }, -- there is no such key
  { 'HDEL', KEYS[1], 'probe' },
  { 'HSET', KEYS[1], 'probe', '1', 'field without a value' },
}

local failed = {}
for _, command in ipairs(probes) do
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err then
    failed[#failed + 1] = command[1]
    failed[#failed + 1] = reply.err
  end
end
return failed
