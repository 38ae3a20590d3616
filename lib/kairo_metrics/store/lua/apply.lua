-- Applies one sealed batch as a whole or not at all. native.lua, line.lua, sums.lua and recovery.lua are before this
-- file.
--
-- KEYS[1]   string  the writer's record: "<number> <number> <set at> <created> <uncounted> <state>". The number of its last
--                   batch, twice; the time of the newest setting of this writer, ms, or 0; the last three tell what the
--                   line of applied batches is, see below
-- KEYS[2]   hash    families index: index field -> "<created ms> <announced ms> <metadata>";
--                   "incarnation" -> the name of this state, "batches" -> how many it has applied
--                   "recovery" -> its recovery, if it ever went back in time: "<since ms> <name before> <goal> <held>
--                   <missing>". goal: how many batches it had, as far as any writer knew; held: how many of them were
--                   still there; missing: how many of the others are neither sent again nor given up
-- KEYS[3]   hash    series of the family that counts batches: each batch is counted there as applied
-- then one hash for each family of the batch: label text -> packed line (see schema.py)
-- then, if a family says where its overflowed updates are counted: hash, series of the family that counts them
--
-- ARGV[1]   "<sequence> <lease> <life> <most> <age> <known state> <replaced>", and " restores <account>" for a restoration
--   sequence     number of the batch: 1, 2, 3, ...
--   lease        of the writer's record, ms
--   life         of a series that is not updated, and of every key that holds series, ms
--   most         series per family
--   age          of the batch since it was sealed, ms
--   known state  the state that the writer knows, as answered to it last: "<incarnation> <batches>"; the name is empty
--                for none. If that one had more batches than this one has, the state went back in time: it gets a new
--                name, so that other writers notice as well
--   replaced     how many lost batches this batch replaces
--   account      the batch holds what the known state had, and no instance sends again. The account is the recovery that
--                it was computed from, without its time; "" for none. The batch is a duplicate if the state has lost
--                nothing since the known one; also if its account has changed, because some of the loss has been sent
--                again or restored in the meantime
-- then for each family:
--   "<shape>", or "<shape> <n> <m> <announces> <overflows>", which is short for "<shape> 1 0 0 0"
--     shape      a letter for each number of a packed line, see schema.py; "a<n>" for "a" and n times "w". A line of
--                another shape is damaged, and starts again from zero
--   its metadata, if it announces
--   the label text of its overflow series, and that of its count in the last key or "", if it overflows
--   m times: label pairs, one in each line; all series that have these labels are removed first, "" removes all
--   n times: label text, delta
--     delta of numbers that are added up: "<index> <amount> ..." with 1-based indexes into the line's numbers
--     delta of a value, shape "ai":       "<value> <age when sealed, ms> <1 if it was set since the last batch with it,
--                                         else 0>", with age -1 for a value that was never set
--     delta of a word, shape "xi":        the same, with any text without spaces as the value
--     delta of a native histogram:        "<buckets at most> <a native histogram's line>"
--     "D <delta>" removes the series first, "D" does nothing else
--
-- Answers {"applied", state, family, ...} with the 1-based positions of those that overflowed, {"duplicate", state},
--         {"gap", the sequence number expected, state}, where state is "<incarnation> <batches>",
--         {"unannounced", family, ...}, {"refused", family, ...} or {"full", family, ...} with 1-based positions in the
--         batch. Full: the family may have no room, and the batch has to say how it overflows.
-- Every key is read and every new line computed before the first write, so an error in a key or an argument ends the
-- script before it writes. An error in one family refuses that family only: a batch that failed as a whole would be
-- sent again forever. The writes are in such an order that a missing right ends the script before anything is counted.

local RECORD, INDEX, BATCHES = KEYS[1], KEYS[2], KEYS[3]
local OTHER_KEYS = 3
local APPLIED = 'outcome="applied"'
local REMOVES = byte('D')
local FIELDS_AT_ONCE = 1000 -- Lua passes less than 8,000 arguments to a command
local LONGEST_NAME = 64
local ID_WIDTH = 16 -- of a schema
-- The time to live of keys is extended with the first update of a line in each of these spans, not with each update. A
-- key lives longer by one of them, so that it never ends before its lines.
local LONGEST_SPAN_MS = 60000

local sequence, life_ms, known_state = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local max_series, batch_age_ms, replaced, rest = match(ARGV[4], '^(%d+) ?(%d*) ?(%d*)(.*)$')
max_series, batch_age_ms, replaced = tonumber(max_series), tonumber(batch_age_ms) or 0, tonumber(replaced) or 0
local restores = rest ~= '' and match(rest, '^ restores ?(.*)$') or nil
local span_ms = math.min(life_ms / 8, LONGEST_SPAN_MS)
local span_age_ms = now % span_ms
local key_life_ms = life_ms + span_ms

-- The order of batches.

local function is_foreign(reply) return type(reply) == 'table' and reply.err and find(reply.err, 'WRONGTYPE') end

local record = redis.pcall('GET', RECORD)
if type(record) == 'table' and record.err and not is_foreign(record) then return record end
-- A record of another form counts as absent: that is a gap, after which the writer takes a new id. The number is
-- written twice, so that the rest of a damaged record is not read as another number.
local number, copy, newest_set_at, created, uncounted, told_batches, told_state =
  match(type(record) == 'string' and record or '', '^(%d+) (%d+) (%d+) (%d+) (%-?%d+) (%d+) (.+)$')
local is_record = number and number == copy and #number <= 15 and #newest_set_at <= 15 and #created == 13
  and #uncounted <= 16 and #told_batches <= 16
local applied = is_record and tonumber(number) or 0
-- The time of the newest setting in the writer's earlier batches. It is later than now if the clock was set back.
newest_set_at = is_record and math.min(tonumber(newest_set_at), now) or 0
local batch_newest_set_at = newest_set_at -- the same, with this batch

local index_fields, families = { 'incarnation', 'batches', 'recovery' }, {}
local OTHER_FIELDS = #index_fields
local words_in_argv = #ARGV
local name_from = #INDEX - #'families' + #'series:' + 1 -- the keys of a shard begin with the same text

-- The index field of a family is in its key.
local function field_of(key) return sub(key, name_from, -ID_WIDTH - 2) .. ' ' .. sub(key, -ID_WIDTH) end

local at = 5
while at <= words_in_argv do
  local head = ARGV[at]
  local key = KEYS[OTHER_KEYS + #families + 1]
  local family = { key = key, shape = head, first = at + 1, last = at + 2, overflowed = 0, words = {} }
  if find(head, ' ', 1, true) then
    local shape, series, cleared, announces, overflows = match(head, '^(%S+) (%d+) ?(%d*) ?(%d?) ?(%d?)$')
    at = at + 1
    family.shape = shape
    if announces == '1' then family.metadata, at = ARGV[at], at + 1 end
    if overflows == '1' then family.overflow, family.overflow_count, at = ARGV[at], ARGV[at + 1], at + 2 end
    family.first_cleared, family.first = at, at + (tonumber(cleared) or 0)
    family.last = family.first + 2 * series - 1
  end
  families[#families + 1] = family
  index_fields[OTHER_FIELDS + #families] = key and field_of(key)
  at = family.last + 1
end
local overflowed_key = KEYS[OTHER_KEYS + #families + 1]
if at ~= words_in_argv + 1 or #KEYS < OTHER_KEYS + #families then
  return redis.error_reply('ERR kairo: the batch is cut off or too long')
end

index_fields[#index_fields + 1] = field_of(BATCHES)

-- The values of a hash in these fields, or the error.
local function get(key, fields)
  if #fields <= FIELDS_AT_ONCE then return redis.pcall('HMGET', key, unpack(fields)) end
  local values = {}
  for first = 1, #fields, FIELDS_AT_ONCE do
    local last = math.min(first + FIELDS_AT_ONCE - 1, #fields)
    local part = redis.pcall('HMGET', key, unpack(fields, first, last))
    if part.err then return part end
    for place, value in ipairs(part) do values[first + place - 1] = value end
  end
  return values
end

local stored = get(INDEX, index_fields)
if stored.err then return stored end
local state = { incarnation = stored[1] or '', batches = stored[2] or '0', recovery = stored[3] or '' }
if #state.batches > 15 or not find(state.batches, '^%d+$') then
  state.incarnation, state.batches = '', '0'
elseif #state.incarnation > LONGEST_NAME or not find(state.incarnation, '^[%w-]+$') then
  state.incarnation = ''
end
state.batches = format('%.0f', state.batches)

if known_state == '' and is_record then
  known_state = match(told_state, '^%S+') .. ' ' .. told_batches
end
local known_name, known_batches = match(known_state, '^(%S+) (%d+)$')
local state_text = state.incarnation .. ' ' .. state.batches
local recovery
if restores then
  recovery = load_recovery()
  if sequence == 1 and not recovery.is_due(state, known_state, restores) then sequence = applied end
end
if sequence <= applied then return { 'duplicate', state_text } end
if sequence > applied + 1 then return { 'gap', applied + 1, state_text } end

-- Read.

local function has_pairs(field, pairs_of_labels)
  -- Quotes in a value are escaped, so no value can contain a label pair.
  for pair in gmatch(pairs_of_labels, '[^\n]+') do
    if not find(',' .. field .. ',', ',' .. pair .. ',', 1, true) then return false end
  end
  return true
end

local function fields_to_clear(family)
  local fields = {}
  for _, field in ipairs(redis.call('HKEYS', family.key)) do
    for i = family.first_cleared, family.first - 1 do
      if has_pairs(field, ARGV[i]) then
        fields[#fields + 1] = field
        break
      end
    end
  end
  return fields
end

-- Whether an entry of the index is what an instance announced, and in the right field: "<13 digits> <13 digits> {...,
-- "check": "<8 digits of a digest>"}". Servers other than Redis may lack sha1hex; there the digest is not checked.
local sha1hex = redis.sha1hex
local function is_intact(entry, field)
  local created_at, announced_at = match(entry, '^(%d+) (%d+) {')
  if not created_at or #created_at ~= 13 or #announced_at ~= 13 then return false end
  if sub(entry, -22, -11) ~= ', "check": "' or sub(entry, -2) ~= '"}' then return false end
  local check = sub(entry, -10, -3)
  if not sha1hex then return find(check, '^%x+$') end
  return sub(sha1hex(field .. sub(entry, 29, -23)), 1, 8) == check
end

local unannounced, refused = { 'unannounced' }, { 'refused' }
for position, family in ipairs(families) do
  -- A damaged entry counts as unannounced.
  local entry = stored[OTHER_FIELDS + position]
  family.known = entry and is_intact(entry, index_fields[OTHER_FIELDS + position]) and entry
  if not family.metadata and not family.known then unannounced[#unannounced + 1] = position end
  local first, lines, failure = family.first, {}, nil
  if family.last == first + 1 and not family.overflow then
    local line = redis.pcall('HGET', family.key, ARGV[first])
    if type(line) == 'table' then failure = line else lines[ARGV[first]] = line end
  elseif family.last < first and not family.overflow then
    local length = redis.pcall('HLEN', family.key) -- shows whether the key is a hash
    if type(length) == 'table' then failure = length end
  else
    local fields = { family.overflow }
    for i = first, family.last, 2 do fields[#fields + 1] = ARGV[i] end
    local values = get(family.key, fields)
    failure = values.err and values
    for i, field in ipairs(fields) do lines[field] = values[i] or nil end
  end
  if failure and is_foreign(failure) then
    refused[#refused + 1] = position
  elseif failure then
    return failure
  else
    family.stored = lines
    if family.first_cleared and family.first_cleared < first then
      family.removed = fields_to_clear(family)
      for _, field in ipairs(family.removed) do lines[field] = nil end
    end
  end
end
if #refused > 1 then return refused end
if #unannounced > 1 then return unannounced end

-- Compute.

local function add(numbers, delta)
  local index
  for word in gmatch(delta, '%S+') do
    if index then
      numbers[index] = number_text(numbers[index] + tonumber(word))
      index = nil
    else
      index = tonumber(word)
    end
  end
  if index then error('kairo: malformed delta: ' .. delta) end
end

-- Sets the value of a delta, unless the stored one is newer. The age leaves out how long the batch was on its way, and
-- an earlier batch of the same writer may have taken longer. So a setting counts as no older than those before it.
local function set_newest(numbers, delta, is_number)
  local value, age, is_new = match(delta, '^(%S+) (%S+) ([01])$')
  local set_at = 0
  if age ~= '-1' then set_at = math.max(now - batch_age_ms - tonumber(age), is_new == '1' and newest_set_at or 0) end
  batch_newest_set_at = math.max(batch_newest_set_at, set_at)
  local stored_at = tonumber(numbers[2])
  if set_at >= stored_at or stored_at > now then -- a stored time in the future is damaged
    numbers[1], numbers[2] = is_number and number_text(tonumber(value)) or value, number_text(set_at)
  end
end

local function add_native(numbers, delta)
  local words = {}
  for word in gmatch(delta, '%S+') do words[#words + 1] = word end
  if #words ~= 8 then error('kairo: malformed delta: ' .. delta) end
  local max_buckets = tonumber(table.remove(words, 1))
  local counts = native.read(words)
  if numbers[6] ~= '0' then -- '0' is not a valid side: the line is new
    local stored_counts = native.read(numbers)
    native.add(stored_counts, counts)
    counts = stored_counts
  end
  native.limit(counts, max_buckets)
  for place, word in ipairs(native.write(counts, number_text)) do numbers[place] = word end
end

-- The line after an update, and the age of the stored one; no age if it starts again from zero.
local function updated(line, delta, shape)
  local numbers = unpack_line(line, shape, life_ms)
  if shape == 'ai' or shape == 'xi' then
    set_newest(numbers, delta, shape == 'ai')
  elseif shape == NATIVE_SHAPE then
    add_native(numbers, delta)
  else
    add(numbers, delta)
  end
  local age = numbers.touched and now - numbers.touched
  numbers[#numbers + 1] = numbers.created
  numbers[#numbers + 1] = now_text
  return table.concat(numbers, ' '), age
end

-- Removes the stored series that start again from zero or are deleted. This comes first: deltas that overflow in this
-- batch must be added to the new overflow series, and not to the removed one.
local function remove(family)
  for i = family.first, family.last, 2 do
    local field = ARGV[i]
    if byte(ARGV[i + 1]) == REMOVES and family.stored[field] then
      family.stored[field] = nil
      family.removed = family.removed or {}
      family.removed[#family.removed + 1] = field
    end
  end
end

-- How many new series a family has room for. Its overflow series does not count; if its name is not known, there may
-- be room for one more.
local function room_of(family)
  local length = redis.pcall('HLEN', family.key)
  if type(length) == 'table' then
    family.failure = length
    error('kairo: the number of series is not known')
  end
  if family.removed then length = length - #family.removed end
  if family.has_overflow then length = length - 1 end
  return max_series - length
end

local function compute(family)
  remove(family)
  family.has_overflow = family.overflow and family.stored[family.overflow]
  local shape, bounds, room = family.shape, nil, nil
  if shape == NATIVE_SHAPE and not native then load_native() end
  if shape ~= 'g' then
    bounds = tonumber(match(shape, '^a(%d+)$'))
    if bounds then shape = 'a' .. rep('w', bounds) end
  end
  local lines, words = family.stored, family.words
  local fast = bounds and histogram_line or shape == 'g' and counter_line
  for i = family.first, family.last, 2 do
    local field, delta = ARGV[i], ARGV[i + 1]
    local line, text, age = lines[field], nil, nil
    if line and fast then text, age = fast(line, delta, life_ms, now, now_text, bounds) end
    if not text and delta ~= 'D' then
      if not line and field ~= family.overflow then
        room = room or room_of(family)
        if room > 0 then
          room = room - 1
        elseif not family.overflow then
          family.is_full = true
          return
        else
          field = family.overflow
          line = lines[field]
          -- What is restored was counted before; it may stand in another series now.
          if not restores then family.overflowed = family.overflowed + 1 end
        end
      end
      text, age = updated(line, match(delta, '^D (.*)$') or delta, shape)
    end
    if text then
      lines[field] = text
      words[#words + 1], words[#words + 2] = field, text
      if not age or age < 0 or age > span_age_ms then family.is_due = true end
    end
  end
end

local full, is_due, is_own_announced = { 'full' }, #families == 0, false
for position, family in ipairs(families) do
  if not pcall(compute, family) then
    if family.failure then return family.failure end
    refused[#refused + 1] = position
  elseif family.is_full then
    full[#full + 1] = position
  end
  is_due = is_due or family.is_due or family.metadata
  is_own_announced = is_own_announced or family.metadata and family.key == BATCHES
end
if #refused > 1 then return refused end
if #full > 1 then return full end
-- No batch has updates of the family that counts batches, so its entry is looked at now and then. It is announced again
-- together with any other.
local own_entry = is_due and stored[#index_fields]
if own_entry and not is_own_announced and not is_intact(own_entry, index_fields[#index_fields]) then return unannounced end

-- A batch may itself count updates that found no room in its instance; those are counted in the same lines.
local overflowed, overflowed_words, is_separate = {}, {}, overflowed_key
for _, family in ipairs(families) do
  if family.key == overflowed_key then overflowed, overflowed_words, is_separate = family.stored, family.words, false end
end
local answer = { 'applied', '' }
for position, family in ipairs(families) do
  local field = family.overflow_count
  if family.overflowed > 0 and field ~= '' then
    answer[#answer + 1] = position
    local line = overflowed[field] or redis.pcall('HGET', overflowed_key, field)
    if type(line) ~= 'table' then -- else the key has another type, and this count is lost
      overflowed[field] = updated(line, '1 ' .. family.overflowed, 'g')
      overflowed_words[#overflowed_words + 1], overflowed_words[#overflowed_words + 2] = field, overflowed[field]
    end
  end
end

-- The line of applied batches. What it lacks of the batches of the state stays the same, as long as the state has its name
-- and its recovery: every batch is counted in both. So the line is not read each time; the writer's record knows what it
-- lacks. It is read if the line might have expired: then all lines of this batch have, too.
local function counted_as(recovery_text) return state.incarnation .. ' ' .. recovery_text end

local batches = state.batches + 1
local applied_line
for _, family in ipairs(families) do
  if family.key == BATCHES then applied_line = family.stored[APPLIED] end
end
if not is_record or is_due or applied_line or told_state ~= counted_as(state.recovery) then
  applied_line = applied_line or redis.pcall('HGET', BATCHES, APPLIED)
  local is_hash = type(applied_line) ~= 'table'
  if not is_hash and not is_foreign(applied_line) then return applied_line end
  local words = unpack_line(is_hash and applied_line, 'g', life_ms)
  created, uncounted = words.created, format('%.0f', state.batches - (fitted('w', words[1]) or 0))
end

local index, replaces_name = {}, false
if restores or replaced > 0 or (known_name and (known_name ~= state.incarnation
  or tonumber(known_batches) > tonumber(state.batches) or find(state.recovery, known_name, 1, true))) then
  recovery = recovery or load_recovery()
  local account
  account, replaces_name = recovery.after(state, known_state, replaced, restores)
  if account then
    index[1], index[2] = 'recovery', account
    state.recovery = account
  end
end

-- Write. First the index, which may safely be written twice; then the removals and the writer's record; and last the
-- lines, which need no further right.

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
set(INDEX, index, is_due)
for _, family in ipairs(families) do
  for _, field in ipairs(family.removed or {}) do redis.call('HDEL', family.key, field) end
end
local reply = redis.pcall('SET', RECORD, table.concat({ sequence, sequence, format('%.0f', batch_newest_set_at), created,
  uncounted, state.batches, counted_as(state.recovery) }, ' '), 'PX', WRITER_LEASE_MS)
if reply.err then
  redis.call('HSET', INDEX, 'batches', format('%.0f', batches - 1)) -- the batch is not counted until it is applied
  return reply
end
for _, family in ipairs(families) do set(family.key, family.words, family.is_due or family.metadata) end
if is_separate then set(overflowed_key, overflowed_words, true) end
-- If the key holds another type, the batches are not counted until it is deleted.
reply = redis.pcall('HSET', BATCHES, APPLIED, format('%.0f', batches - uncounted) .. ' ' .. created .. ' ' .. now_text)
if is_due and type(reply) ~= 'table' then redis.call('PEXPIRE', BATCHES, key_life_ms) end
answer[2] = state.incarnation .. ' ' .. state.batches
return answer
