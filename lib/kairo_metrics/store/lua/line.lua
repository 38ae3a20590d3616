-- Packed lines as in schema.py. A word is one token of a line; most words are numbers as text. native.lua is before this
-- file, and apply.lua follows it.

local TIMES_WIDTH = 28 -- " <created ms> <touched ms>"
-- Redis holds the functions of the library in tables; a local name is found faster.
local byte, find, format, gmatch, match, rep, sub =
  string.byte, string.find, string.format, string.gmatch, string.match, string.rep, string.sub

local function number_text(number)
  if number % 1 == 0 and number < 1e15 and number > -1e15 then return format('%.0f', number) end
  if number ~= number then return 'NaN' end
  if number == math.huge then return '+Inf' end
  if number == -math.huge then return '-Inf' end
  local short = format('%.15g', number)
  if tonumber(short) == number then return short end
  return format('%.17g', number)
end

local function finite(word)
  if #word <= 24 and find(word, '^%-?%d+%.?%d*$') then return find(word, '%d$') and word end
  local number = find(word, '^%-?%d[%d.e+-]*$') and tonumber(word)
  return number and math.abs(number) < math.huge and number_text(number)
end

-- The word in the form that we print, or a false value if it does not fit the letter of a shape. A count has at most 15
-- digits; a longer one is damaged.
local function fitted(letter, word)
  if letter == 'w' then return #word <= 15 and find(word, '^%d+$') and word end
  if letter == 'i' then return #word <= 16 and find(word, '^%-?%d+$') and word end
  if letter == 'a' then return (word == '+Inf' or word == '-Inf' or word == 'NaN') and word or finite(word) end
  if letter == 'g' then return word == '+Inf' and word or sub(word, 1, 1) ~= '-' and finite(word) end
  if letter == 'f' then return finite(word) end
  if letter == 'x' then return find(word, '^=[!-~]*$') and word end
  if letter == 'z' then return sub(word, 1, 1) ~= '-' and finite(word) end
  if letter == 's' then return native.is_schema(word) and word end
  return letter == 'b' and native.is_side(word) and word
end

-- The words of a stored line, or nil if it has expired or is damaged.
local function words_of(line, shape, life_ms)
  local created, touched = match(line, ' (%d+) (%d+)$', -TIMES_WIDTH)
  if not created or #created ~= 13 or #touched ~= 13 or now - touched > life_ms then return nil end
  local words, count = { created = created, touched = touched }, 0
  for word in gmatch(sub(line, 1, -TIMES_WIDTH - 1), '%S+') do
    count = count + 1
    local printed = fitted(sub(shape, count, count), word)
    if not printed then return nil end
    words[count] = printed
  end
  if count ~= #shape or (shape == NATIVE_SHAPE and not native.adds_up(words)) then return nil end
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
