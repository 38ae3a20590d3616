-- Applies one sealed batch as a whole or not at all. plain.lua, native.lua, line.lua and recovery.lua are before this
-- file; compute.lua and write.lua follow it. All are one script.
--
-- KEYS[1]   string  the writer's record: "<number> <number> <set at> <created> <uncounted> <batches> <incarnation>",
--                   and " <recovery>" if there is one. The number of its last batch, twice; the time of the newest
--                   setting of this writer, ms, or 0; when the line of applied batches began, and how many batches of
--                   the state it lacks (see compute.lua); then the state, as it was answered to the writer
-- KEYS[2]   hash    families index: index field -> "<created ms> <announced ms> <metadata>";
--                   "incarnation" -> the name of this state, "batches" -> how many it has applied
--                   "recovery" -> its recovery, if it ever went back in time: "<since ms> <name before> <goal> <held>
--                   <missing>". goal: how many batches it had, as far as any writer knew; held: how many of them were
--                   still there; missing: how many of the others are neither sent again nor given up
-- KEYS[3]   hash    series of the family that counts batches: each batch is counted there as applied
-- then one hash for each family of the batch: label text -> packed line (see schema.py)
-- then, if a family says where its overflowed updates are counted: hash, series of the family that counts them
--
-- ARGV[1] number of the batch: 1, 2, 3, ...
-- ARGV[2] life of a series that is not updated, and of every key that holds series, ms
-- ARGV[3] lease of the writer's record, ms
-- ARGV[4] the state that the writer knows: "<incarnation> <batches>", "" for the one in its record, "-" for none. If
--         that one had more batches than this one has, the state went back in time: it gets a new name, so that other
--         writers notice as well
-- ARGV[5] "<series per family>"; for a batch that is not plain (see plain.lua) "<series per family> <age> <replaced>",
--         and " restores <account>" for one that restores
--   age       since it was sealed, ms
--   replaced  how many lost batches it replaces
--   account   the batch holds what the known state had, and no instance sends again. The account is the recovery that
--             it was computed from, without its time; "" for none. The batch is a duplicate if the state has lost
--             nothing since the known one; also if its account has changed, because some of the loss has been sent
--             again or restored in the meantime
-- then for each family:
--   "<shape>", "<shape> <n>", or "<shape> <n> <m> <announces> <overflows>"; what is left out is 1 for n, else 0
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

local sequence, life_ms, lease_ms, known_state = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local max_series, batch_age_ms, replaced, rest = match(ARGV[5], '^(%d+) ?(%d*) ?(%d*)(.*)$')
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
  match(type(record) == 'string' and record or '', '^(%d+) (%d+) (%d+) (%d+) (%-?%d+) (%d+) (%S.*)$')
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

local at = 6
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
