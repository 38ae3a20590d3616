-- Applies one sealed batch: all of it, or none of it. native.lua, line.lua and recovery.lua are run before this file.
--
-- KEYS[1]   string  the writer's record: the last sequence number that was applied, twice
-- KEYS[2]   hash    families index: index field -> "<created ms> <announced ms> <metadata>";
--                   "incarnation" -> the name of this state, "batches" -> how many it has taken
--                   "recovery" -> since it went back in time: "<since ms> <name before> <batches it had, as far as
--                   anybody has told> <how many of them were still there> <how many are neither that nor sent again nor
--                   given up>"
-- KEYS[3]   hash    series of the family that counts overflowed updates
-- KEYS[4..] hash    one per family of the batch: label text -> packed line (see schema.py)
--
-- ARGV[1] sequence number of the batch: 1, 2, 3, ...
-- ARGV[2] lease of the writer's record, ms
-- ARGV[3] life of an untouched series, and of every key that holds series, ms
-- ARGV[4] series per family
-- ARGV[5] age of the batch since it was sealed, ms
-- ARGV[6] first half of a new name, for a state that has none: it is new, or was emptied
-- ARGV[7] the state that the writer heard of last, as answered; "" for none. If it had more batches than this one has,
--         the state went back in time: it is renamed, so that others notice, too
-- ARGV[8] how many of the batches that the state lost this one makes good; or "restores <account>": it holds what that
--         state had and nobody sends again. It is a duplicate where the state did not go back from there, and where its
--         account, without the time, is no longer that one: somebody has sent or written back some of it since
-- then for each family:
--   header, five lines: index field, rule, shape of a packed line (a letter for each number, see schema.py; what does
--     not look like it is damaged, and starts again from zero), label text of its overflow series,
--     label text of its count in KEYS[3], or "" where none is kept
--   metadata, or "" once announced
--   m, then m times: label pairs, one a line; all series that have them are removed first, with "" all there are
--   n, then n times: label text, delta
--     delta of rule "sum":    "<index> <amount> ..." with 1-based indexes into the line's numbers
--     delta of rule "latest": "<value> <age when sealed, ms>", with age -1 for a value that was never set
--     delta of rule "word":   the same, and the value is any text without spaces
--     delta of rule "native": "<buckets at most> <a native histogram's line>"
--     "D <delta>" removes the series first, "D" does nothing else
--
-- Answers {"applied", state, family, ...} with the 1-based positions of those that overflowed, {"duplicate", state},
--         {"gap", the sequence number expected, state}, where state is "<incarnation> <batches>",
--         {"unannounced", family, ...} or {"refused", family, ...} with 1-based positions in the batch.
-- Every key is read and every new line computed before the first write, so whatever is wrong with a key or
-- an argument ends the script while nothing is written. Whatever is wrong with one family alone, refuses that family: a
-- batch that failed as a whole would be sent again for ever. The order of the writes has the same end: a right that is
-- missing is missed before anything counts.

local FIRST_FAMILY = 3 -- keys before it
local FIRST_HEADER = 9
local FIELDS_AT_ONCE = 1000 -- Lua hands over less than 8,000 words to a command
local LONGEST_NAME = 64

local sequence, lease_ms, life_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local max_series, batch_age_ms = tonumber(ARGV[4]), tonumber(ARGV[5])

local merge = {}

function merge.sum(numbers, delta)
  local index
  for word in string.gmatch(delta, '%S+') do
    if index then
      numbers[index] = number_text(numbers[index] + tonumber(word))
      index = nil
    else
      index = tonumber(word)
    end
  end
  if index then error('kairo: malformed delta: ' .. delta) end
end

-- Puts the value that a delta sets into place unless a newer one is there.
local function set_newest(numbers, delta, printed)
  local value, age = string.match(delta, '^(%S+) (%S+)$')
  local set_at = age == '-1' and 0 or now - batch_age_ms - tonumber(age)
  local stored_at = tonumber(numbers[2])
  if set_at >= stored_at or stored_at > now then -- nobody sets anything in the future
    numbers[1], numbers[2] = printed(value), number_text(set_at)
  end
end

function merge.latest(numbers, delta)
  set_newest(numbers, delta, function(value) return number_text(tonumber(value)) end)
end

function merge.native(numbers, delta)
  local words = {}
  for word in string.gmatch(delta, '%S+') do words[#words + 1] = word end
  if #words ~= 8 then error('kairo: malformed delta: ' .. delta) end
  local max_buckets = tonumber(table.remove(words, 1))
  local counts = native.read(words)
  if numbers[6] ~= '0' then -- else it is new: a line of zeros
    local stored = native.read(numbers)
    native.add(stored, counts)
    counts = stored
  end
  native.limit(counts, max_buckets)
  for place, word in ipairs(native.write(counts, number_text)) do numbers[place] = word end
end

function merge.word(numbers, delta)
  set_newest(numbers, delta, function(value) return value end)
end

-- The order of batches.

local function is_foreign(reply) return type(reply) == 'table' and reply.err and string.find(reply.err, 'WRONGTYPE') end

local record = redis.pcall('GET', KEYS[1])
if type(record) == 'table' and record.err and not is_foreign(record) then return record end
-- A record that is none of ours is as good as gone: the writer takes another name. The number stands there twice, so that
-- what is left of one that was spoilt is not taken for another number.
local number, copy = string.match(type(record) == 'string' and record or '', '^(%d+) (%d+)$')
local applied = number and number == copy and fitting.w(number) and tonumber(number) or 0
local stored = redis.call('HMGET', KEYS[2], 'incarnation', 'batches', 'recovery')
local state = { incarnation = stored[1] or '', batches = stored[2] or '0', account = stored[3] or '' }
local is_countable = fitting.w(state.batches)
local is_named = #state.incarnation <= LONGEST_NAME and string.find(state.incarnation, '^[%w-]+$')
if not is_countable or not is_named then state.incarnation = '' end
state.batches = is_countable and string.format('%.0f', state.batches) or '0'

local state_text = state.incarnation .. ' ' .. state.batches
local restores = string.match(ARGV[8], '^restores ?(.*)$')
if restores and sequence == 1 and not recovery.is_due(state, ARGV[7], restores) then sequence = applied end
if sequence <= applied then return { 'duplicate', state_text } end
if sequence > applied + 1 then return { 'gap', applied + 1, state_text } end

-- Read.

local families, index_fields = {}, {}
local at = FIRST_HEADER
for position = 1, #KEYS - FIRST_FAMILY do
  local index_field, rule, shape, overflow, overflow_count =
    string.match(ARGV[at], '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
  local count_at = at + 3 + tonumber(ARGV[at + 2]) -- of the series; before it stands what is cleared
  local family = {
    key = KEYS[FIRST_FAMILY + position],
    index_field = index_field,
    metadata = ARGV[at + 1],
    merge = merge[rule],
    shape = shape,
    overflow = overflow,
    overflow_count = overflow_count,
    first_cleared = at + 3,
    first = count_at + 1,
    last = count_at + 2 * tonumber(ARGV[count_at]),
    overflowed = 0,
  }
  families[position], index_fields[position] = family, index_field
  at = family.last + 1
end
if at ~= #ARGV + 1 then return redis.error_reply('ERR kairo: the batch is cut off or too long') end

-- What stands in the fields of a hash, or the error.
local function get(key, fields)
  local values = {}
  for first = 1, #fields, FIELDS_AT_ONCE do
    local last = math.min(first + FIELDS_AT_ONCE - 1, #fields)
    local part = redis.pcall('HMGET', key, unpack(fields, first, last))
    if part.err then return part end
    for place, value in ipairs(part) do values[first + place - 1] = value end
  end
  return values
end

local function has_pairs(field, pairs_of_labels)
  -- A quote inside of a value is escaped, so that no value looks like a label.
  for pair in string.gmatch(pairs_of_labels, '[^\n]+') do
    if not string.find(',' .. field .. ',', ',' .. pair .. ',', 1, true) then return false end
  end
  return true
end

local function to_be_cleared(family)
  local fields = {}
  if family.first_cleared == family.first - 1 then return fields end
  for _, field in ipairs(redis.call('HKEYS', family.key)) do
    for i = family.first_cleared, family.first - 2 do
      if has_pairs(field, ARGV[i]) then
        fields[#fields + 1] = field
        break
      end
    end
  end
  return fields
end

-- Whether an entry of the index is what an instance has told, and in its place. Redis alone is sure to know the digest.
local function is_intact(entry, field)
  local created, announced, told, check = string.match(entry, '^(%d+) (%d+) ({.*), "check": "(%x+)"}$')
  if not told or #created ~= 13 or #announced ~= 13 or #check ~= 8 then return false end
  return not redis.sha1hex or string.sub(redis.sha1hex(field .. told), 1, 8) == check
end

local known = get(KEYS[2], index_fields)
local unannounced, refused = { 'unannounced' }, { 'refused' }
for position, family in ipairs(families) do
  -- An entry that was spoilt is told again.
  family.known = known[position] and is_intact(known[position], family.index_field) and known[position]
  if family.metadata == '' and not family.known then unannounced[#unannounced + 1] = position end
  -- A family without series is asked for one all the same, to learn whether its key is a hash.
  local fields = { family.overflow }
  for i = family.first, family.last, 2 do fields[#fields + 1] = ARGV[i] end
  local lines = get(family.key, fields)
  if is_foreign(lines) then
    refused[#refused + 1] = position
  elseif lines.err then
    return lines
  else
    family.stored = {}
    for i, field in ipairs(fields) do family.stored[field] = lines[i] or nil end
    family.removed = to_be_cleared(family)
    for _, field in ipairs(family.removed) do family.stored[field] = nil end
  end
end
if #refused > 1 then return refused end
if #unannounced > 1 then return unannounced end

-- Compute.

-- How many series a family may still take; its overflow series itself takes no room.
local function room_of(family)
  local length = redis.pcall('HLEN', family.key)
  if type(length) == 'table' then
    family.failure = length
    error('kairo: the length is not known')
  end
  return max_series - (length - #family.removed - (family.stored[family.overflow] and 1 or 0))
end

-- Takes out of what is stored the series that begin again or are gone. Before all else: what overflows in this batch must
-- neither go with the overflow series nor bring back what it held.
local function remove(family)
  for i = family.first, family.last, 2 do
    local field = ARGV[i]
    if string.sub(ARGV[i + 1], 1, 1) == 'D' and family.stored[field] then
      family.stored[field] = nil
      family.removed[#family.removed + 1] = field
    end
  end
end

local function compute(family)
  family.lines = {}
  local room
  remove(family)
  for i = family.first, family.last, 2 do
    local field = ARGV[i]
    if ARGV[i + 1] ~= 'D' then
      if not family.stored[field] and not family.lines[field] and field ~= family.overflow then
        room = room or room_of(family)
        if room > 0 then
          room = room - 1
        else
          field, family.overflowed = family.overflow, family.overflowed + 1
        end
      end
      local numbers = family.lines[field] or unpack_line(family.stored[field], family.shape, life_ms)
      family.merge(numbers, string.match(ARGV[i + 1], '^D (.*)$') or ARGV[i + 1])
      family.lines[field] = numbers
    end
  end
end

for position, family in ipairs(families) do
  if not pcall(compute, family) then
    if family.failure then return family.failure end
    refused[#refused + 1] = position
  end
end
if #refused > 1 then return refused end

-- A batch may itself tell of updates that found no room in its instance: they are counted in the same lines.
local overflowed, told_apart = {}, true
for _, family in ipairs(families) do
  if family.key == KEYS[3] then overflowed, told_apart = family.lines, false end
end
local answer = { 'applied' }
for position, family in ipairs(families) do
  local field = family.overflow_count
  if family.overflowed > 0 and field ~= '' then
    answer[#answer + 1] = position
    local line = overflowed[field] or redis.pcall('HGET', KEYS[3], field)
    if overflowed[field] or type(line) ~= 'table' then -- else the key holds something foreign, and this count is lost
      overflowed[field] = overflowed[field] or unpack_line(line, 'g', life_ms)
      merge.sum(overflowed[field], '1 ' .. family.overflowed)
    end
  end
end

-- Puts fields and values, one behind the other, into a hash.
local function set(key, words)
  for first = 1, #words, 2 * FIELDS_AT_ONCE do
    redis.call('HSET', key, unpack(words, first, math.min(first + 2 * FIELDS_AT_ONCE - 1, #words)))
  end
  if #words > 0 then redis.call('PEXPIRE', key, life_ms) end
end

local function append(words, field, value) words[#words + 1], words[#words + 2] = field, value end

local function write(key, lines)
  local words = {}
  for field, numbers in pairs(lines) do
    numbers[#numbers + 1] = numbers.created
    numbers[#numbers + 1] = now_text
    append(words, field, table.concat(numbers, ' '))
  end
  set(key, words)
end

-- Write. First the index, of which nothing is the worse for being written twice; then what goes, and the record; and at
-- last the lines, which need no right that was not needed before.

local index = {}
for _, family in ipairs(families) do
  if family.metadata ~= '' then
    local created = family.known and string.match(family.known, '^%d+ ') or now_text .. ' '
    append(index, family.index_field, created .. now_text .. ' ' .. family.metadata)
  end
end
local account, went_back = recovery.after(state, ARGV[7], tonumber(ARGV[8]) or 0, restores)
if account then append(index, 'recovery', account) end
local incarnation = state.incarnation
if incarnation == '' or went_back then
  incarnation = recovery.name(ARGV[6], state, ARGV[7])
  append(index, 'incarnation', incarnation)
end
local batches = string.format('%.0f', state.batches + 1)
append(index, 'batches', batches)
set(KEYS[2], index)
for _, family in ipairs(families) do
  for _, field in ipairs(family.removed) do redis.call('HDEL', family.key, field) end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[1], 'PX', lease_ms)
for _, family in ipairs(families) do write(family.key, family.lines) end
if told_apart then write(KEYS[3], overflowed) end
table.insert(answer, 2, incarnation .. ' ' .. batches)
return answer
