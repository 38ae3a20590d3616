-- Writes what compute.lua, which is before this file, has computed. First the index, which may safely be written twice;
-- then the removals and the writer's record; and last the lines, which need no further right.

-- Writes {field, value, field, value, ...} into a hash.
local function set(key, words, extends)
  if #words <= 2 * FIELDS_AT_ONCE then
    if #words > 0 then redis.call('HSET', key, unpack(words)) end
  else
    for first = 1, #words, 2 * FIELDS_AT_ONCE do
      redis.call('HSET', key, unpack(words, first, math.min(first + 2 * FIELDS_AT_ONCE - 1, #words)))
    end
  end
  if extends and #words > 0 then redis.call('PEXPIRE', key, key_life_ms) end
end

local function append(words, field, value) words[#words + 1], words[#words + 2] = field, value end

for position, family in ipairs(families) do
  if family.metadata then
    local created_at = family.known and match(family.known, '^%d+ ') or now_text .. ' '
    append(index, index_fields[OTHER_FIELDS + position], created_at .. now_text .. ' ' .. family.metadata)
  end
end
if state.incarnation == '' or replaces_name then
  local first_half = match(RECORD, '[^:]*$')
  state.incarnation = (recovery or load_recovery()).name(first_half, state, known_state)
  append(index, 'incarnation', state.incarnation)
  is_due = true
end
state.batches = format('%.0f', batches)
append(index, 'batches', state.batches)
set(INDEX, index)

-- Returns an error, after taking back that the batch was counted: it is sent again.
local function undone(reply)
  redis.call('HSET', INDEX, 'batches', format('%.0f', batches - 1))
  return reply
end

local function is_error(reply) return type(reply) == 'table' and reply.err end

local reply = is_due and redis.pcall('PEXPIRE', INDEX, key_life_ms)
if is_error(reply) then return undone(reply) end
for _, family in ipairs(families) do
  for _, field in ipairs(family.removed or {}) do
    reply = redis.pcall('HDEL', family.key, field)
    if is_error(reply) then return undone(reply) end
  end
end
local record_words = { sequence, sequence, format('%.0f', batch_newest_set_at), created, uncounted, state.batches,
  counted_as(state.recovery) }
reply = redis.pcall('SET', RECORD, table.concat(record_words, ' '), 'PX', lease_ms)
if is_error(reply) then return undone(reply) end
for _, family in ipairs(families) do set(family.key, family.words, family.is_due or family.metadata) end
if is_separate then set(overflowed_key, overflowed_words, true) end
-- If the key holds another type, the batches are not counted until it is deleted.
local line = format('%.0f', batches - uncounted) .. ' ' .. created .. ' ' .. now_text
reply = redis.pcall('HSET', BATCHES, APPLIED, line)
if reply == 1 or (is_due and not is_error(reply)) then redis.call('PEXPIRE', BATCHES, key_life_ms) end
answer[2] = state.incarnation .. ' ' .. state.batches
return answer
