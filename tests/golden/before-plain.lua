-- Native histograms, as in native_counts.py. apply.lua follows this file.
--
-- A line is "<sum> <count> <zero count> <schema> <zero threshold> <positive> <negative>", where the last two are
-- "index:count,index:count" or "-". A word is one of these seven; a side is the positive or the negative buckets.

local COARSEST, FINEST = -4, 8
local native = { SHAPE = 'awwszbb' } -- see schema.py

local function side_of(text)
  local side = {}
  for index, count in string.gmatch(text, '(-?%d+):(%d+)') do side[tonumber(index)] = tonumber(count) end
  return side
end

function native.is_schema(word)
  return string.find(word, '^%-?%d$') and tonumber(word) >= COARSEST and tonumber(word) <= FINEST
end

-- The index of a bucket has at most six digits for any float, and a count at most 15.
function native.is_side(word)
  if word == '-' then return true end
  return not string.find(word, string.rep('%d', 16))
    and string.gsub(',' .. word, ',%-?%d%d?%d?%d?%d?%d?:%d+', '') == ''
end

-- Whether the counts of all buckets add up to the count of observations.
function native.adds_up(words)
  local in_buckets = tonumber(words[3])
  for side = 6, 7 do
    for count in string.gmatch(words[side], ':(%d+)') do in_buckets = in_buckets + tonumber(count) end
  end
  return in_buckets == tonumber(words[2])
end

local function side_text(side)
  local indexes = {}
  for index in pairs(side) do indexes[#indexes + 1] = index end
  table.sort(indexes)
  for place, index in ipairs(indexes) do indexes[place] = string.format('%.0f:%.0f', index, side[index]) end
  return #indexes > 0 and table.concat(indexes, ',') or '-'
end

local function upper_bound(index, schema)
  return 2 ^ (index * 2 ^ -schema)
end

function native.read(words)
  return {
    sum = tonumber(words[1]),
    count = tonumber(words[2]),
    zero_count = tonumber(words[3]),
    schema = tonumber(words[4]),
    zero_threshold = tonumber(words[5]),
    positive = side_of(words[6]),
    negative = side_of(words[7]),
  }
end

-- Joins buckets until they are as wide as those of a schema.
local function coarsen(counts, schema)
  local width = 2 ^ (counts.schema - schema)
  if width <= 1 then return end
  for _, name in ipairs({ 'positive', 'negative' }) do
    local joined = {}
    for index, count in pairs(counts[name]) do
      local wide_index = math.ceil(index / width) + 0 -- turns -0 into 0
      joined[wide_index] = (joined[wide_index] or 0) + count
    end
    counts[name] = joined
  end
  counts.schema = schema
end

-- Moves buckets that begin below a threshold into the zero bucket, each as a whole.
local function widen_zero(counts, threshold)
  for _, name in ipairs({ 'positive', 'negative' }) do
    local low = {}
    for index in pairs(counts[name]) do
      if upper_bound(index - 1, counts.schema) < threshold then low[#low + 1] = index end
    end
    for _, index in ipairs(low) do
      counts.zero_count = counts.zero_count + counts[name][index]
      counts[name][index] = nil
      threshold = math.max(threshold, upper_bound(index, counts.schema))
    end
  end
  counts.zero_threshold = math.max(counts.zero_threshold, threshold)
end

local function add_sides(into, from)
  for index, count in pairs(from) do into[index] = (into[index] or 0) + count end
end

-- Adds other counts, at the coarser of both resolutions; the other counts are changed, too.
function native.add(counts, other)
  while counts.zero_threshold ~= other.zero_threshold do
    local narrow, wide = counts, other
    if narrow.zero_threshold > wide.zero_threshold then narrow, wide = wide, narrow end
    widen_zero(narrow, wide.zero_threshold)
  end
  local schema = math.min(counts.schema, other.schema)
  coarsen(counts, schema)
  coarsen(other, schema)
  counts.sum = counts.sum + other.sum
  counts.count = counts.count + other.count
  counts.zero_count = counts.zero_count + other.zero_count
  add_sides(counts.positive, other.positive)
  add_sides(counts.negative, other.negative)
end

local function bucket_count(counts)
  local buckets = 0
  for _ in pairs(counts.positive) do buckets = buckets + 1 end
  for _ in pairs(counts.negative) do buckets = buckets + 1 end
  return buckets
end

-- Coarsens the resolution until there are at most so many buckets.
function native.limit(counts, max_buckets)
  while bucket_count(counts) > max_buckets and counts.schema > COARSEST do coarsen(counts, counts.schema - 1) end
end

function native.write(counts, number_text)
  return {
    number_text(counts.sum),
    string.format('%.0f', counts.count),
    string.format('%.0f', counts.zero_count),
    string.format('%.0f', counts.schema),
    number_text(counts.zero_threshold),
    side_text(counts.positive),
    side_text(counts.negative),
  }
end

-- The server's clock, and packed lines as in schema.py. A word is one token of a line; most words are numbers as text.
-- native.lua is before this file, and apply.lua follows it.

local TIMES_WIDTH = 28 -- " <created ms> <touched ms>"

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = string.format('%013.0f', now)

local function number_text(number)
  if number ~= number then return 'NaN' end
  if number == math.huge then return '+Inf' end
  if number == -math.huge then return '-Inf' end
  local short = string.format('%.15g', number)
  if tonumber(short) == number then return short end
  return string.format('%.17g', number)
end

-- By letter of a shape: returns the word in the form that we print, or a false value if it does not fit the letter. A
-- count has at most 15 digits; a longer one is damaged.
local fitting = {}

function fitting.f(word)
  if #word <= 24 and string.find(word, '^%-?%d+%.?%d*$') then return string.find(word, '%d$') and word end
  local number = string.find(word, '^%-?%d[%d.e+-]*$') and tonumber(word)
  return number and math.abs(number) < math.huge and number_text(number)
end

function fitting.a(word) return (word == '+Inf' or word == '-Inf' or word == 'NaN') and word or fitting.f(word) end
function fitting.g(word) return word == '+Inf' and word or string.sub(word, 1, 1) ~= '-' and fitting.f(word) end
function fitting.w(word) return #word <= 15 and string.find(word, '^%d+$') and word end
function fitting.i(word) return #word <= 16 and string.find(word, '^%-?%d+$') and word end
function fitting.x(word) return string.find(word, '^=[!-~]*$') and word end
function fitting.z(word) return string.sub(word, 1, 1) ~= '-' and fitting.f(word) end
function fitting.s(word) return native.is_schema(word) and word end
function fitting.b(word) return native.is_side(word) and word end

-- The words of a stored line, or nil if it has expired or is damaged.
local function words_of(line, shape, life_ms)
  local created, touched = string.match(line, ' (%d+) (%d+)$', -TIMES_WIDTH)
  if not created or #created ~= 13 or #touched ~= 13 or now - touched > life_ms then return nil end
  local words = { created = created }
  for word in string.gmatch(string.sub(line, 1, -TIMES_WIDTH - 1), '%S+') do
    local letter = string.sub(shape, #words + 1, #words + 1)
    local fitted = letter ~= '' and fitting[letter](word)
    if not fitted then return nil end
    words[#words + 1] = fitted
  end
  if #words ~= #shape or (shape == native.SHAPE and not native.adds_up(words)) then return nil end
  return words
end

-- The words of a stored line, or zeros if it is absent, expired or damaged. Numbers stay text: only those that a delta
-- changes are converted.
local function unpack_line(line, shape, life_ms)
  local numbers = line and words_of(line, shape, life_ms)
  if numbers then return numbers end
  numbers = { created = now_text }
  for index = 1, #shape do numbers[index] = '0' end
  return numbers
end

-- The recovery of a state that went back in time, as in recovery.py, which has an example. apply.lua follows this file:
-- its header says what a recovery is, and what the state is that the writer knows (ARGV[7]).

local recovery = {}

local FIELDS = '^(%d+) ([%w-]+) (%d+) (%d+) (%-?(%d+))$'
local KNOWN = '^(%S+) (%d+)$'

-- The fields of a recovery; nothing if it is damaged.
local function read(text)
  local since, name, goal, held, missing, digits = string.match(text, FIELDS)
  if since and math.max(#since, #goal, #held, #digits) <= 15 then return since, name, goal, held, missing end
end

-- When a state got its name, ms: the time is part of the name. 0 if it is not.
local function named_ms(name)
  local text = string.match(name or '', '%-(%d+)$')
  return text and #text <= 15 and tonumber(text) or 0
end

-- Whether a state got its name before another one.
local function is_older(name, other) return named_ms(name) > 0 and named_ms(name) < named_ms(other) end

-- Whether a recovery is about a known state: it is the one that went back, or it had its name before that.
local function covers(since, name, known)
  if not name then return false end
  if name == known or is_older(known, name) then return true end
  return named_ms(known) > 0 and named_ms(known) <= tonumber(since)
end

-- Whether the state is the one that the writer knows, or went back from it, and has lost batches of it.
local function has_lost_batches(state, known_state)
  local known, known_batches = string.match(known_state, KNOWN)
  if known == state.incarnation then return tonumber(known_batches) > tonumber(state.batches) end
  local since, name, _, held = read(state.recovery)
  return known and (is_older(state.incarnation, known) or (covers(since, name, known) and held ~= '0'))
end

-- Whether a batch that restores a loss is still due: the account that it was computed from has not changed.
function recovery.is_due(state, known_state, account)
  local current = read(state.recovery) and string.match(state.recovery, '^%d+ (.*)$') or ''
  return has_lost_batches(state, known_state) and account == current
end

-- Returns the recovery after this batch, or nil if it does not change, and whether the state needs a new name. It does
-- if it went back and still has the name that it had before, or an older one. A state that was begun empty in place of
-- the known one already has a name of its own.
function recovery.after(state, known_state, replaced, restores)
  local known, known_batches = string.match(known_state, KNOWN)
  if not known then return nil, false end
  local since, name, goal, held, missing = read(state.recovery)
  -- Other writers may have brought the state past its old count by now; a batch that is sent again still proves a loss.
  local is_behind = replaced > 0 or tonumber(known_batches) > tonumber(state.batches)
  local went_back = state.incarnation == '' or (known == state.incarnation and is_behind)
    or is_older(state.incarnation, known)
  local is_covered = covers(since, name, known)
  if went_back or (replaced > 0 and known ~= state.incarnation and not is_covered) then
    held = went_back and state.batches or '0'
    missing = known_batches - held - replaced
    if restores then missing = math.min(missing, 0) - 1 end -- nothing is missing now, and the account must change
    return string.format('%s %s %s %s %.0f', now_text, known, known_batches, held, missing), went_back
  end
  local more = name == known and math.max(0, known_batches - goal) or 0
  if restores and is_covered then more, replaced = 0, math.max(missing, 0) + 1 end
  if not is_covered or (more == 0 and replaced == 0) then return nil, false end
  return string.format('%s %s %.0f %s %.0f', since, name, goal + more, held, missing + more - replaced), false
end

-- The new name of a state. The time in it makes the name unique, and younger than the names before, also if the clock
-- is behind.
function recovery.name(first_half, state, known_state)
  local at = math.max(now, named_ms(state.incarnation) + 1, named_ms(string.match(known_state, '^%S+')) + 1)
  return first_half .. '-' .. string.format('%013.0f', at)
end

-- Applies one sealed batch as a whole or not at all. native.lua, line.lua and recovery.lua are before this file.
--
-- KEYS[1]   string  the writer's record: the last sequence number that was applied, written twice; then the time of the
--                   newest setting of this writer, ms, if it has set anything
-- KEYS[2]   hash    families index: index field -> "<created ms> <announced ms> <metadata>";
--                   "incarnation" -> the name of this state, "batches" -> how many it has applied
--                   "recovery" -> its recovery, if it ever went back in time: "<since ms> <name before> <goal> <held>
--                   <missing>". goal: how many batches it had, as far as any writer knew; held: how many of them were
--                   still there; missing: how many of the others are neither sent again nor given up
-- KEYS[3]   hash    series of the family that counts overflowed updates
-- KEYS[4..] hash    one per family of the batch: label text -> packed line (see schema.py)
--
-- ARGV[1] sequence number of the batch: 1, 2, 3, ...
-- ARGV[2] lease of the writer's record, ms
-- ARGV[3] life of a series that is not updated, and of every key that holds series, ms
-- ARGV[4] series per family
-- ARGV[5] age of the batch since it was sealed, ms
-- ARGV[6] first half of a new name, for a state that has none (it is new, or was emptied) or that went back in time
-- ARGV[7] the state that the writer knows, as answered to it last; "" for none. If that one had more batches than this
--         one has, the state went back in time: it gets a new name, so that other writers notice as well
-- ARGV[8] how many lost batches this batch replaces; or "restores <account>": it holds what the state in ARGV[7] had,
--         and no instance sends again. The account is the recovery that it was computed from, without its time; "" for
--         none. The batch is a duplicate if the state has lost nothing since ARGV[7]; also if its account has changed,
--         because some of the loss has been sent again or restored in the meantime
-- then for each family:
--   header, five lines: index field, rule, shape of a packed line (a letter for each number, see schema.py; a line of
--     another shape is damaged, and starts again from zero), label text of its overflow series,
--     label text of its count in KEYS[3], or "" if none is kept
--   metadata, or "" once announced
--   m, then m times: label pairs, one in each line; all series that have these labels are removed first, "" removes all
--   n, then n times: label text, delta
--     delta of rule "sum":    "<index> <amount> ..." with 1-based indexes into the line's numbers
--     delta of rule "latest": "<value> <age when sealed, ms> <1 if it was set since the last batch with it, else 0>", with
--                             age -1 for a value that was never set
--     delta of rule "word":   the same, with any text without spaces as the value
--     delta of rule "native": "<buckets at most> <a native histogram's line>"
--     "D <delta>" removes the series first, "D" does nothing else
--
-- Answers {"applied", state, family, ...} with the 1-based positions of those that overflowed, {"duplicate", state},
--         {"gap", the sequence number expected, state}, where state is "<incarnation> <batches>",
--         {"unannounced", family, ...} or {"refused", family, ...} with 1-based positions in the batch.
-- Every key is read and every new line computed before the first write, so an error in a key or an argument ends the
-- script before it writes. An error in one family refuses that family only: a batch that failed as a whole would be
-- sent again forever. The writes are in such an order that a missing right ends the script before anything is counted.

local FIRST_FAMILY = 3 -- keys before it
local FIRST_HEADER = 9
local FIELDS_AT_ONCE = 1000 -- Lua passes less than 8,000 arguments to a command
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

local newest_set_at = 0 -- the time of the newest setting in the writer's earlier batches
local batch_newest_set_at = 0 -- the same, with this batch

-- Sets the value of a delta, unless the stored one is newer. The age leaves out how long the batch was on its way, and
-- an earlier batch of the same writer may have taken longer. So a setting counts as no older than those before it.
local function set_newest(numbers, delta, printed)
  local value, age, is_new = string.match(delta, '^(%S+) (%S+) ([01])$')
  local set_at = 0
  if age ~= '-1' then set_at = math.max(now - batch_age_ms - tonumber(age), is_new == '1' and newest_set_at or 0) end
  batch_newest_set_at = math.max(batch_newest_set_at, set_at)
  local stored_at = tonumber(numbers[2])
  if set_at >= stored_at or stored_at > now then -- a stored time in the future is damaged
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
  if numbers[6] ~= '0' then -- '0' is not a valid side: the line is new
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
-- A record of another form counts as absent: that is a gap, after which the writer takes a new id. The number is
-- written twice, so that the rest of a damaged record is not read as another number.
local number, copy, rest = string.match(type(record) == 'string' and record or '', '^(%d+) (%d+)(.*)$')
local set_at = string.match(rest or '', '^ (%d+)$')
local is_record = number and number == copy and fitting.w(number) and (rest == '' or (set_at and fitting.w(set_at)))
local applied = is_record and tonumber(number) or 0
if is_record and set_at then newest_set_at = math.min(tonumber(set_at), now) end -- it is later if the clock was set back
batch_newest_set_at = newest_set_at
local stored = redis.call('HMGET', KEYS[2], 'incarnation', 'batches', 'recovery')
local state = { incarnation = stored[1] or '', batches = stored[2] or '0', recovery = stored[3] or '' }
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
  local count_at = at + 3 + tonumber(ARGV[at + 2]) -- where the number of series is, after the cleared labels
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

-- The values of a hash in these fields, or the error.
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
  -- Quotes in a value are escaped, so no value can contain a label pair.
  for pair in string.gmatch(pairs_of_labels, '[^\n]+') do
    if not string.find(',' .. field .. ',', ',' .. pair .. ',', 1, true) then return false end
  end
  return true
end

local function fields_to_clear(family)
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

-- Whether an entry of the index is what an instance announced, and in the right field. Servers other than Redis may
-- lack sha1hex; there the digest is not checked.
local function is_intact(entry, field)
  local created, announced, metadata, check = string.match(entry, '^(%d+) (%d+) ({.*), "check": "(%x+)"}$')
  if not metadata or #created ~= 13 or #announced ~= 13 or #check ~= 8 then return false end
  return not redis.sha1hex or string.sub(redis.sha1hex(field .. metadata), 1, 8) == check
end

local known = get(KEYS[2], index_fields)
local unannounced, refused = { 'unannounced' }, { 'refused' }
for position, family in ipairs(families) do
  -- A damaged entry counts as unannounced.
  family.known = known[position] and is_intact(known[position], family.index_field) and known[position]
  if family.metadata == '' and not family.known then unannounced[#unannounced + 1] = position end
  -- The overflow series is read always: this shows whether the key is a hash, also for a family without series.
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
    family.removed = fields_to_clear(family)
    for _, field in ipairs(family.removed) do family.stored[field] = nil end
  end
end
if #refused > 1 then return refused end
if #unannounced > 1 then return unannounced end

-- Compute.

-- How many new series a family has room for; its overflow series does not count.
local function room_of(family)
  local length = redis.pcall('HLEN', family.key)
  if type(length) == 'table' then
    family.failure = length
    error('kairo: the number of series is not known')
  end
  return max_series - (length - #family.removed - (family.stored[family.overflow] and 1 or 0))
end

-- Removes the stored series that start again from zero or are deleted. This comes first: deltas that overflow in this
-- batch must be added to the new overflow series, and not to the removed one.
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
          field = family.overflow
          -- What is restored was counted before; it may stand in another series now.
          if not restores then family.overflowed = family.overflowed + 1 end
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

-- A batch may itself count updates that found no room in its instance; those are counted in the same lines.
local overflowed, is_separate = {}, true
for _, family in ipairs(families) do
  if family.key == KEYS[3] then overflowed, is_separate = family.lines, false end
end
local answer = { 'applied' }
for position, family in ipairs(families) do
  local field = family.overflow_count
  if family.overflowed > 0 and field ~= '' then
    answer[#answer + 1] = position
    local line = overflowed[field] or redis.pcall('HGET', KEYS[3], field)
    if overflowed[field] or type(line) ~= 'table' then -- else the key has another type, and this count is lost
      overflowed[field] = overflowed[field] or unpack_line(line, 'g', life_ms)
      merge.sum(overflowed[field], '1 ' .. family.overflowed)
    end
  end
end

-- Writes {field, value, field, value, ...} into a hash.
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

-- Write. First the index, which may safely be written twice; then the removals and the writer's record; and last the
-- lines, which need no further right.

local index = {}
for _, family in ipairs(families) do
  if family.metadata ~= '' then
    local created = family.known and string.match(family.known, '^%d+ ') or now_text .. ' '
    append(index, family.index_field, created .. now_text .. ' ' .. family.metadata)
  end
end
local recovery_record, went_back = recovery.after(state, ARGV[7], tonumber(ARGV[8]) or 0, restores)
if recovery_record then append(index, 'recovery', recovery_record) end
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
local newest_text = batch_newest_set_at > 0 and ' ' .. number_text(batch_newest_set_at) or ''
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[1] .. newest_text, 'PX', lease_ms)
for _, family in ipairs(families) do write(family.key, family.lines) end
if is_separate then write(KEYS[3], overflowed) end
table.insert(answer, 2, incarnation .. ' ' .. batches)
return answer
