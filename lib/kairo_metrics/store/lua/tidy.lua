-- Removes lines that have expired, and merges the values that are kept of instances that have ended.
--
-- KEYS[1] hash    series of a family: label text -> packed line
-- KEYS[2] hash    families index
--
-- ARGV[1] life of an untouched series, ms
-- ARGV[2] lease of an instance, ms
-- ARGV[3] what to do with the value of an instance that has ended: "forget" drops it; "min", "max" and "latest" keep
--         one value of all instances that have ended; "none" if instances have no lines of their own
-- ARGV[4] index field of the family
-- then for each line that seemed to have expired: its label text, the label text under which its value is kept
--
-- Answers how many lines it has removed. Each line is checked again: one that was updated in the meantime stays.
-- A family without series leaves the index if it has not been announced for the life of a series.

local life_ms, lease_ms, rule = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- How long ago a line was updated, ms; 0 if it is absent or damaged.
local function age_of(line)
  local touched = line and string.match(line, ' (%d+)$')
  return touched and now - touched or 0
end

local function is_number(word)
  if word == 'NaN' or word == '+Inf' or word == '-Inf' then return true end
  return string.find(word, '^%-?%d[%d.e+-]*$') and tonumber(word)
end

local function unpack_line(line)
  local value, set_at, created, touched = string.match(line or '', '^(%S+) (%-?%d+) (%d+) (%d+)$')
  if not value or not is_number(value) or tonumber(set_at) > now then return nil end
  return { value = value, set_at = set_at, created = created, touched = touched }
end

-- By rule: whether a line is kept instead of another one.
local is_preferred = {
  min = function(one, other) return tonumber(one.value) < tonumber(other.value) end,
  max = function(one, other) return tonumber(one.value) > tonumber(other.value) end,
  latest = function(one, other) return tonumber(one.set_at) > tonumber(other.set_at) end,
}

local removed, residuals = {}, {}
for i = 5, #ARGV, 2 do
  local text, kept_as = ARGV[i], ARGV[i + 1]
  local stored = redis.call('HGET', KEYS[1], text)
  local line = rule ~= 'none' and age_of(stored) > lease_ms and unpack_line(stored)
  if age_of(stored) > life_ms then
    removed[#removed + 1] = text
  elseif line then
    removed[#removed + 1] = text
    if rule ~= 'forget' then
      local kept = residuals[kept_as] or unpack_line(redis.call('HGET', KEYS[1], kept_as))
      if kept and not is_preferred[rule](line, kept) then
        kept.touched = math.max(kept.touched, line.touched)
        line = kept
      end
      residuals[kept_as] = line
    end
  end
end

if #removed > 0 then redis.call('HDEL', KEYS[1], unpack(removed)) end
for kept_as, line in pairs(residuals) do
  local times = string.format('%013.0f %013.0f', line.created, line.touched)
  redis.call('HSET', KEYS[1], kept_as, line.value .. ' ' .. line.set_at .. ' ' .. times)
  redis.call('PEXPIRE', KEYS[1], life_ms + math.min(life_ms / 8, 60000)) -- as in apply.lua
end
if redis.call('HLEN', KEYS[1]) == 0 then
  local announced = string.match(redis.call('HGET', KEYS[2], ARGV[4]) or '', '^%d+ (%d+) ')
  if announced and now - announced > life_ms then redis.call('HDEL', KEYS[2], ARGV[4]) end
end
return #removed
