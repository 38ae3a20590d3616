-- Tries all commands that apply.lua and tidy.lua run, and writes nothing: commands that write are malformed on purpose.
-- A server that allows such a command complains about its arguments; one that does not, about the permission.
--
-- KEYS[1] a key of the shard that does not exist
--
-- Answers {command, its error, command, its error, ...} for the commands that failed.

local probes = {
  { 'TIME' },
  { 'GET', KEYS[1] },
  { 'HMGET', KEYS[1], 'probe' },
  { 'HGET', KEYS[1], 'probe' },
  { 'HLEN', KEYS[1] },
  { 'HKEYS', KEYS[1] },
  { 'SET', KEYS[1], 'probe', 'PX', '0' }, -- not a valid time to live
  { 'PEXPIRE', KEYS[1], '1000' }, -- the key does not exist
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
