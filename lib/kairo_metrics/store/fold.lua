-- Brings together what is kept of instances whose lease has ended.
--
-- KEYS[1] hash    series of a gauge whose instances have lines of their own: label text -> packed line
--
-- ARGV[1] lease of an instance, ms
-- ARGV[2] what becomes of a value: "forget", or "min", "max" or "latest" of what is kept already
-- then for each line that seemed to be an ended instance's: its label text, the label text under which it is kept
--
-- Answers how many lines it has removed. A line that was renewed meanwhile, or is none, is left as it is.

local lease_ms, rule = tonumber(ARGV[1]), ARGV[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function unpack_line(line)
  local value, set_at, created, touched = string.match(line or '', '^(%S+) (%S+) (%d+) (%d+)$')
  if not tonumber(value) or not tonumber(set_at) then return nil end
  return { value = value, set_at = set_at, created = created, touched = touched }
end

local better = {
  min = function(one, other) return tonumber(one.value) < tonumber(other.value) end,
  max = function(one, other) return tonumber(one.value) > tonumber(other.value) end,
  latest = function(one, other) return tonumber(one.set_at) > tonumber(other.set_at) end,
}

local ended, residuals = {}, {}
for i = 3, #ARGV, 2 do
  local text, kept_as = ARGV[i], ARGV[i + 1]
  local line = unpack_line(redis.call('HGET', KEYS[1], text))
  if line and now - line.touched > lease_ms then
    ended[#ended + 1] = text
    if rule ~= 'forget' then
      local kept = residuals[kept_as] or unpack_line(redis.call('HGET', KEYS[1], kept_as))
      if kept and not better[rule](line, kept) then
        kept.touched = math.max(kept.touched, line.touched)
        line = kept
      end
      residuals[kept_as] = line
    end
  end
end

if #ended > 0 then redis.call('HDEL', KEYS[1], unpack(ended)) end
for kept_as, line in pairs(residuals) do
  local times = string.format('%013.0f %013.0f', line.created, line.touched)
  redis.call('HSET', KEYS[1], kept_as, line.value .. ' ' .. line.set_at .. ' ' .. times)
end
return #ended
